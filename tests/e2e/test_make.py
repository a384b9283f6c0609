"""`make help` lists what make can do, and its commands keep compiled modules."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = [
    *("help", "demo", "serve", "test", "processes", "pages", "browser", "contracts", "check"),
    *("bench", "clean"),
]
STEPS = ROOT / ".ci" / "steps"


@pytest.fixture(scope="module")
def listed(require_tool: Callable[[str], str]) -> str:
    """Return what `make help` prints."""
    command = [require_tool("make"), "--no-print-directory", "-C", str(ROOT), "help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("target", TARGETS)
def test_target_is_listed(listed: str, target: str) -> None:
    """`make help` has a line for each target that a user needs."""
    assert re.search(rf"^  make {target} +\S", listed, re.MULTILINE)


def test_another_port_is_named(listed: str) -> None:
    """The line of the server says how to choose another port."""
    assert "UPSIM_SERVE_PORT=8000" in listed


def test_processes_find_compiled_modules(require_tool: Callable[[str], str]) -> None:
    """A command of make keeps compiled modules, so further processes start faster."""
    probe = "--eval=probe: ; @echo $${PYTHONDONTWRITEBYTECODE-kept}"
    done = subprocess.run(
        [require_tool("make"), "--no-print-directory", "-C", str(ROOT), probe, "probe"],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "kept\n"


def test_what_one_command_omits_another_runs(require_tool: Callable[[str], str]) -> None:
    """What `make test` omits, `make processes` and `make pages` run; CI has every step."""
    command = [require_tool("make"), "--no-print-directory", "--dry-run", "-C", str(ROOT)]
    lines = {
        target: subprocess.run(
            [*command, target], capture_output=True, text=True, check=True
        ).stdout.split()
        for target in ("test", "processes", "pages", "covered")
    }
    left_out = [word.removeprefix("--ignore=") for word in lines["test"] if "--ignore" in word]
    covering = (ROOT / ".ci/covering").read_text("utf-8").split()
    run = re.search(r"steps=\(([a-z ]+)\)", (ROOT / ".ci/run").read_text("utf-8"))

    assert left_out
    assert set() == set(left_out) - {*lines["processes"], *lines["pages"]}
    assert [] == [path for path in (*left_out, *covering) if not (ROOT / path).exists()]
    assert "$(cat .ci/covering)" in " ".join(lines["covered"])
    assert ".ci/covering" in (STEPS / "tests").read_text("utf-8")
    assert run is not None
    assert sorted(path.name for path in STEPS.iterdir()) == sorted(run[1].split())
