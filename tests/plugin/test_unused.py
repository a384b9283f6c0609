"""A run that does not use the plug-in pays nearly nothing for it."""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from typing import TYPE_CHECKING

import pytest

from tests.plugin.conftest import cpu_of_children
from tests.slowness import slowness

if TYPE_CHECKING:
    from tests.plugin.conftest import RunTests

pytest_plugins = ["pytester"]

MOST_SECONDS = 0.050
PAIRS = 7
PRODUCT = ("upsim.app", "upsim.core.", "upsim.engine", "upsim.scenario", "starlette", "httpx")
HOSTS = "upsim.core.hosts"
"""What the guard asks whether an address is this machine's; it imports nothing of the product."""
OTHERS = ("hypothesis", "yaml", "av", "msgspec", "uvicorn", "aiohttp", "requests")


def test_unused_plug_in_imports_almost_nothing(run_tests: RunTests) -> None:
    """An unused plug-in imports only `core.hosts`, at the first DNS lookup.

    Coverage does not measure a module that the plug-in imports at its start.
    """
    text = f"""
import socket
import sys

def test_it():
    assert "{HOSTS}" not in sys.modules
    socket.getaddrinfo("localhost", 80)
    socket.getaddrinfo("127.0.0.1", 80)

    found = [name for name in sys.modules if name.startswith({PRODUCT + OTHERS!r})]
    assert ["{HOSTS}"] == found
"""
    run_tests(text, "-p", "no:hypothesispytest").assert_outcomes(passed=1)


def test_a_host_lookup_imports_no_server(run_tests: RunTests) -> None:
    """To recognise a provider's host name, the plug-in reads scenarios and imports no server."""
    text = """
import socket
import sys

import pytest

def test_it():
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("vicsee.com", 443)

    assert [] == [name for name in ("upsim.app", "starlette", "httpx") if name in sys.modules]
"""
    run_tests(text, "-p", "no:hypothesispytest").assert_outcomes(passed=1)


def seconds_of(code: str) -> float:
    """Return how much processor time a Python process takes for this code."""
    before = cpu_of_children()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return cpu_of_children() - before


@pytest.mark.slow
def test_start_costs_little() -> None:
    """Importing the plug-in takes less than 50 ms of CPU time, measured by paired runs.

    The limit is scaled to the speed of the machine.
    """
    without = "import pytest"
    with_it = "import pytest, upsim.pytest_plugin"
    pairs = [(seconds_of(with_it), seconds_of(without)) for _ in range(PAIRS)]

    assert median(mine - plain for mine, plain in pairs) < MOST_SECONDS * slowness()
