"""Runs test files of their own, in processes of their own, with the plug-in."""

from __future__ import annotations

import resource
from collections.abc import Callable
from importlib.metadata import entry_points

import httpcore  # noqa: F401 - pytester forgets what is first imported within a test; httpx does not
import pytest

INSTALLED = any(point.name == "upsim" for point in entry_points(group="pytest11"))
PLUGIN = () if INSTALLED else ("-p", "upsim.pytest_plugin")
"""The options that load the plug-in if the package is on the path but not installed."""
PLAIN = ("-p", "no:randomly", "-p", "no:schemathesis", "-p", "no:cacheprovider", "-W", "error")

RunTests = Callable[..., pytest.RunResult]


def cpu_of_children() -> float:
    """Return the processor time of all child processes that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture
def run_tests(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunTests:
    """Return a function that runs the text of a test file with these options of pytest."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run(text: str, *options: str, plain: tuple[str, ...] = PLAIN) -> pytest.RunResult:
        pytester.makepyfile(test_it=text)
        return pytester.runpytest_subprocess(*PLUGIN, *plain, *options)

    return run
