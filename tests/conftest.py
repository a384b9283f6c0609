"""Shared by all tests: tools that may be missing, and a mode in which none may be."""

import functools
import gc
import inspect
import os
import shutil
import signal
from collections.abc import Callable, Generator
from zlib import crc32

import httpx
import pytest
from hypothesis import HealthCheck, settings

from tests.workers import Shelf

settings.register_profile(
    "any-machine", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")  # no example fails because the machine is slow
gc.set_threshold(20_000, 20, 20)  # by default the garbage collector takes a tenth of the CPU time
REQUIRE_ALL = os.environ.get("UPSIM_REQUIRE_ALL") == "1"
MAX_ID = 80
"""Characters of a parameter that its test id shows whole."""


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start, even behind a shell that starts jobs deaf to it.

    A process inherits that a signal is ignored; one that its parent handles it gets afresh.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over the collected tests, which stay to the end."""
    gc.freeze()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Return a short id for a long text, which may have megabytes.

    Its checksum makes the id unique.
    Each worker of pytest-xdist sends the ids of all its tests to the process that started it.
    """
    if isinstance(val, str | bytes) and len(val) > MAX_ID:
        content = val.encode("utf-8", "surrogatepass") if isinstance(val, str) else val
        return f"{val[:MAX_ID]!r} and so on, {len(val)} in all, {crc32(content):08x}"
    return None


@pytest.fixture(scope="session", autouse=True)
def _certificates_are_read_once() -> Generator[None]:
    """Let the clients of the tests share what they trust: reading it takes 25 ms for each."""
    with pytest.MonkeyPatch.context() as patch:
        once = functools.cache(httpx.create_ssl_context)
        patch.setattr("httpx._transports.default.create_ssl_context", once)
        yield


@pytest.fixture(scope="session")
def shelf_of_workers() -> Generator[Shelf]:
    """Keep the worker processes that simulators of this process have no more use for."""
    shelf = Shelf()
    yield shelf
    shelf.close()


@pytest.fixture(autouse=True)
def lent_workers(shelf_of_workers: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let simulators take worker processes from the shelf; starting one costs 0.1 s."""
    monkeypatch.setattr("upsim.media.worker_pool.Worker", shelf_of_workers.lend)


@pytest.fixture(scope="session")
def require_tool() -> Callable[[str], str]:
    """Return a function that finds a program, or skips the test with a sentence that names it."""

    def find(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"This test needs the program {name}, which is not on the path.")
        return found

    return find


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(obj: object) -> None:
    """Let anyio run each asynchronous test; the option `anyio_mode` exists in its newest only."""
    if inspect.iscoroutinefunction(obj):
        pytest.mark.anyio(obj)


@pytest.fixture
def anyio_backend() -> str:
    """Return the event loop of asynchronous tests; older versions of anyio would add trio."""
    return "asyncio"


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure where everything is required; an expected failure is no skip."""
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        _, _, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, "")
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: UPSIM_REQUIRE_ALL=1 allows no skip. {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let no test be skipped where everything is required."""
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let no module be skipped as a whole where everything is required."""
    report = yield
    _fail_if_skipped(report)
    return report
