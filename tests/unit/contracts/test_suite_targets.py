"""A target that the contract suite cannot judge is one sentence before any test, exit code 4."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

SUITE = runpy.run_path(str(Path(__file__).parents[3] / "contracts" / "conftest.py"))
OPTIONS = {"--as-live": False, "--collect-only": False, "--admin-token": ""}
UNUSED = "http://127.0.0.1:9"


def start(**given: object) -> None:
    """Start a session of the suite with these options, and no other."""
    options = OPTIONS | {f"--{name.replace('_', '-')}": value for name, value in given.items()}
    config = SimpleNamespace(getoption=options.get)
    session: Any = SimpleNamespace(config=config)
    SUITE["pytest_sessionstart"](session)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"target": UNUSED}, f"{UNUSED} does not answer: "),
        ({"target": "127.0.0.1:9"}, "lacks http://: give http://127.0.0.1:9"),
        ({"target": "sockt"}, "is not sim, socket, server, live or a URL"),
        ({"target": "sim", "contract_provider": "vicse"}, "did you mean vicsee?"),
    ],
)
def test_wrong_target_ends_the_session(given: dict[str, object], told: str) -> None:
    """A wrong target ends the pytest session at its start with a UsageError."""
    with pytest.raises(pytest.UsageError, match=told):
        start(**given)


@pytest.mark.parametrize("given", [{"target": "sim"}, {"target": "live"}])
def test_other_targets_are_checked_in_the_tests(given: dict[str, object]) -> None:
    """At the start, no request is sent in process; live without a cap is skipped, not refused."""
    start(**given)
