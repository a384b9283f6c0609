"""Run each mutant in its own child process, and check it only by its killer.

The parent imports all libraries that the simulator needs, but no module of the simulator. A
child is forked in a millisecond and imports the wrong simulator in a fraction of a second.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from upsim_contracts.exceptions import StaleMutantError
from upsim_contracts.facts.fact_files import Book, Fact
from upsim_contracts.facts.fact_runner import CONNECTION, Verdict, check_fact
from upsim_contracts.mutants.catalogue import Mutant
from upsim_contracts.mutants.child_processes import SECONDS, in_child, simulator
from upsim_contracts.mutants.mutant_planter import plant, scenario_file
from upsim_contracts.target import Target
from upsim_contracts.verify.run import book_of, pricer, providers

Fate = Literal["killed", "survived", "stale", "error"]
PRELOADED = (
    "anyio",
    "av",
    "click",
    "jsonschema",
    "msgspec",
    "starlette.applications",
    "starlette.routing",
    "yaml",
)
"""What the simulator imports from elsewhere, so that a child finds it there."""
PRELOADED_FOR_TESTS = ("hypothesis", "pytest_cov.plugin", "schemathesis", "xdist.plugin")
"""What the tests of the suite import besides."""
PYTEST_FAILED = 1
PROFILE = "UPSIM_CONTRACT_PROFILE"
"""The variable that sets how long the suite searches."""
SUITE = Path(__file__).parents[1] / "suite"
"""The folder of a killer that is a test: `file::name`."""


@dataclass(frozen=True, slots=True)
class MutantResult:
    """The outcome of a mutant, the time that its killer took, and the failure that it found."""

    mutant: Mutant
    fate: Fate
    seconds: float
    saw: str = ""


@dataclass(frozen=True, slots=True)
class FalseKiller:
    """A killer that fails for the correct simulator."""

    killer: str
    saw: str


class Runner:
    """Runs mutants, and checks the correct simulator too; the facts are read only once."""

    def __init__(self, books: Mapping[str, Book] | None = None, *, suite: Path = SUITE) -> None:
        """Read the facts of all providers, unless they are given."""
        self.books = books or {name: book_of(name) for name in providers()}
        self.suite = suite
        for name in PRELOADED:
            importlib.import_module(name)

    def run_all(self, mutants: Iterable[Mutant], *, workers: int = 2) -> Iterator[MutantResult]:
        """Yield the outcome of each mutant, in order."""
        chosen = list(mutants)
        if any(mutant.test is not None for mutant in chosen):
            for name in PRELOADED_FOR_TESTS:
                importlib.import_module(name)
        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(self.run, chosen)

    def run(self, mutant: Mutant) -> MutantResult:
        """Run one mutant, and return whether its killer noticed it."""
        started = time.perf_counter()
        fate, saw = in_child(lambda: self._fate(mutant))
        return MutantResult(mutant, fate, time.perf_counter() - started, saw)

    def unjust(self, mutants: Iterable[Mutant]) -> Iterator[FalseKiller]:
        """Yield the killers of these mutants that fail for the correct simulator."""
        facts: dict[str, dict[str, Fact]] = {}
        tests: dict[str, None] = {}
        for mutant in mutants:
            fact = self._fact(mutant)
            if fact is not None:
                facts.setdefault(mutant.provider, {})[fact.id] = fact
            elif mutant.test is not None:
                tests[mutant.test] = None
        for provider, chosen in facts.items():
            yield from self.broken(provider, list(chosen.values()))
        if tests:
            fate, saw = in_child(lambda: self._by_tests(list(tests)))
            if fate != "survived":
                yield FalseKiller(f"one of the tests {', '.join(tests)}", saw)

    def broken(
        self, provider: str, facts: Sequence[Fact], *, seed: int = 0
    ) -> Iterator[FalseKiller]:
        """Yield the facts that fail for the correct simulator with this seed."""

        def judged() -> list[tuple[str, str]]:
            with simulator(self.books[provider], provider, None) as target:
                verdicts = [self._verdict(_seeded(fact, seed), provider, target) for fact in facts]
            return [(one.fact.id, _seen(one)) for one in verdicts if one.outcome == "broken"]

        found = in_child(judged, seconds=SECONDS * 10)
        if isinstance(found, tuple):
            yield FalseKiller(f"facts of {provider}", found[1])
            return
        for name, saw in found:
            yield FalseKiller(f"fact {name} of {provider}, seed {seed}", saw)

    # -- in the child

    def _fate(self, mutant: Mutant) -> tuple[Fate, str]:
        try:
            planter = plant(mutant.patches)
            if mutant.test is not None:
                fate = self._by_tests([mutant.test])
            else:
                with tempfile.TemporaryDirectory() as folder:
                    fate = self._by_fact(mutant, Path(folder))
        except StaleMutantError as error:
            return "stale", str(error)
        if planter.untouched:
            return "stale", f"not imported: {', '.join(planter.untouched)}"
        return fate

    def _by_fact(self, mutant: Mutant, folder: Path) -> tuple[Fate, str]:
        fact = self._fact(mutant)
        if fact is None:
            return "stale", f"{mutant.provider} has no fact {mutant.fact!r}"
        if mutant.overlay is not None and fact.given.scenario is not None:
            return "stale", f"{fact.id} brings a scenario of its own, which an overlay cannot join"
        scenario = str(scenario_file(mutant, folder)) if mutant.overlay is not None else None
        with simulator(self.books[mutant.provider], mutant.provider, scenario) as target:
            verdict = self._verdict(fact, mutant.provider, target)
        if any(found.where == CONNECTION for found in verdict.mismatches):
            return "error", f"it does not run: {_seen(verdict)}"
        fates: Mapping[str, Fate] = {"broken": "killed", "held": "survived"}
        return fates.get(verdict.outcome, "error"), _seen(verdict)

    def _by_tests(self, tests: Sequence[str]) -> tuple[Fate, str]:
        """Run these tests with pytest in this process; the output is discarded."""
        pytest: Any = importlib.import_module("pytest")
        options = [
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
            "-n0",
            "--assert=plain",
        ]
        noticed = _Noticed()
        os.environ[PROFILE] = "mutants"
        paths = [f"{self.suite}/{test}" for test in tests]
        with (
            Path(os.devnull).open("w", encoding="utf-8") as nowhere,
            redirect_stdout(nowhere),
            redirect_stderr(nowhere),
        ):
            code = pytest.main([*options, *paths], plugins=[noticed])
        if code == PYTEST_FAILED:
            return "killed", noticed.text
        return ("survived", "") if code == 0 else ("error", f"pytest ended with {int(code)}")

    def _verdict(self, fact: Fact, provider: str, target: Target) -> Verdict:
        return check_fact(
            self.books[provider], fact, target, pricer(provider), lambda _seconds: None
        )

    def _fact(self, mutant: Mutant) -> Fact | None:
        book = self.books.get(mutant.provider)
        facts = book.facts if book is not None else ()
        return next((fact for fact in facts if fact.id == mutant.fact), None)


class _Noticed:
    """A pytest plug-in that keeps the message of the first failing test."""

    text = ""

    def pytest_runtest_logreport(self, report: Any) -> None:  # noqa: ANN401 - pytest is not imported here
        """Store the message of a failure."""
        if report.failed and not self.text:
            self.text = " ".join(report.longreprtext.partition("\nE ")[2].split())


def _seeded(fact: Fact, seed: int) -> Fact:
    return replace(fact, given=replace(fact.given, seed=seed))


def _seen(verdict: Verdict) -> str:
    return "; ".join(map(str, verdict.mismatches)) or verdict.reason
