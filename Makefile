# The same commands at a desk and in continuous integration. Everything is set up on first use; it
# takes Python 3.11, git and make. `make PYTHON=/path/to/python3.11 test` names the interpreter.

VENV := .venv
BIN := $(VENV)/bin
PINS := scripts/venv pyproject.toml requirements/build.txt requirements/runtime.txt
TYPED := simulator contracts tests
TESTS := $(BIN)/python -m pytest --numprocesses=2 --dist=loadgroup
PROCESSES := tests/e2e tests/plugin
PAGES := tests/docs tests/e2e/clients
APART := $(PROCESSES) $(PAGES)
NEWCOMER := tests/unit tests/http tests/kit contracts -k toytown
export PYTHON
unexport PYTHONDONTWRITEBYTECODE  # else each process that a test starts compiles the project anew

.PHONY: help demo serve test processes pages browser contracts newcomer covered check style types imports schemas bench mutants kills nightly lock clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

demo: $(VENV)/.runtime  ## a real clip through all five models
	$(BIN)/upsim demo

serve: $(VENV)/.runtime  ## the simulator on port 4747; UPSIM_SERVE_PORT=8000 chooses another
	$(BIN)/upsim serve

test: $(VENV)/.development  ## all tests but those of the next three; PYTEST="-k name" adds options
	$(TESTS) $(APART:%=--ignore=%) $(PYTEST)

processes: $(VENV)/.development  ## commands, servers and the plug-in's runs, each a process of its own
	$(TESTS) $(PROCESSES) $(PAGES:%=--ignore=%) $(PYTEST)

pages: $(VENV)/.development  ## the pages of the docs as printed, and the official clients
	$(TESTS) $(PAGES) $(PYTEST)

browser: $(VENV)/.development  ## tests in a real browser (Chromium)
	$(BIN)/python -m pytest -m browser tests/browser $(PYTEST)

contracts: $(VENV)/.development  ## the contract suite alone; PYTEST="--target socket" adds options
	$(BIN)/python -m pytest contracts $(PYTEST)

newcomer: $(VENV)/.development  ## tests of all providers, in a copy of this tree with an invented one
	folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	  $(BIN)/python scripts/with-toy $$folder/tree -m pytest --numprocesses=2 --dist=loadgroup $(NEWCOMER)

covered: $(VENV)/.development  ## the tests of .ci/covering run every branch of core and providers
	$(TESTS) --cov=upsim.core --cov=upsim.providers --cov-report= $$(cat .ci/covering)
	$(BIN)/python -m coverage report --fail-under=100 --include='*/upsim/core/*,*/upsim/providers/*'

check: style types imports schemas  ## all that needs no test to run

style: $(VENV)/.development
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/python -m tests.prose

types: $(VENV)/.development
	$(BIN)/python -m mypy $(TYPED)

imports: $(VENV)/.development
	$(BIN)/lint-imports

schemas: $(VENV)/.runtime  ## the JSON Schemas by which editors check and complete scenarios
	$(BIN)/upsim scenarios schema --write scenarios

bench: $(VENV)/.development  ## speed against a bare application, measured in the same run
	$(BIN)/python -m tests.bench $(BENCH)

mutants: $(VENV)/.development  ## wrong simulators: each must be noticed by the fact or test it names
	$(BIN)/python -m upsim_contracts.mutants
	$(BIN)/python -m upsim_contracts.mutants --lies

kills: $(VENV)/.development  ## servers with a durable store, killed under load: nothing is lost
	$(BIN)/python -m tests.durability --kills 12
	$(BIN)/python -m pytest -m kills tests/durability $(PYTEST)

nightly: $(VENV)/.development  ## every fact under ten seeds, new random requests, long proofs
	$(BIN)/python -m upsim_contracts.mutants --seeds 10
	$(BIN)/python -m pytest contracts -m "not browser" --upsim-profile nightly
	$(BIN)/python -m pytest -m nightly tests
	$(BIN)/python -m tests.durability --kills 100 --slow 50
	$(BIN)/python -m tests.durability --kills 100 --slow 50 --min-bytes 50000 -- --fsync
	$(MAKE) --no-print-directory newcomer NEWCOMER="tests contracts"

lock:  ## pin again what pyproject.toml asks for
	scripts/lock

clean:  ## all that these commands have made
	rm -rf $(VENV) .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -rf .coverage* build demo-outputs dist

$(VENV)/.runtime: $(PINS)
	scripts/venv $(VENV) build runtime
	touch $@

$(VENV)/.development: $(PINS) requirements/tests.txt requirements/quality.txt
	scripts/venv $(VENV) build runtime tests quality
	touch $@ $(VENV)/.runtime
