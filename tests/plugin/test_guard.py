"""No test reaches a real provider by accident, by any way to resolve its host."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.plugin.conftest import PLUGIN

if TYPE_CHECKING:
    from tests.plugin.conftest import RunTests

pytest_plugins = ["pytester"]

BLOCKED = """
import asyncio
import http.client
import socket
import sys
import urllib.error
import urllib.request

import aiohttp
import httpx
import pytest
import requests

HOSTS = ["api.wavespeed.ai", "api.venice.ai", "api.piapi.ai", "upload.theapi.app", "vicsee.com"]
MESSAGE = "upsim blocks .* in tests. Lead the request to a sandbox with the fixture upsim_intercept"


@pytest.mark.parametrize("host", HOSTS)
def test_every_host(host):
    with pytest.raises(socket.gaierror, match=MESSAGE):
        socket.create_connection((host, 443), timeout=1)


@pytest.mark.parametrize("name", ["VICSEE.com", "vicsee.com.", b"vicsee.com"])
def test_every_spelling(name):
    with pytest.raises(socket.gaierror, match=MESSAGE):
        socket.getaddrinfo(name, 443)


@pytest.mark.parametrize("look_up", [socket.gethostbyname, socket.gethostbyname_ex])
def test_older_functions(look_up):
    with pytest.raises(socket.gaierror, match=MESSAGE):
        look_up("vicsee.com")


def test_connecting_without_looking_up():
    with socket.socket() as plain, pytest.raises(socket.gaierror, match=MESSAGE):
        plain.connect(("vicsee.com", 443))


def test_httpx():
    with pytest.raises(httpx.ConnectError, match=MESSAGE):
        httpx.get("https://vicsee.com/api/v1/credits", trust_env=False)


def test_requests():
    with pytest.raises(requests.ConnectionError, match=MESSAGE):
        requests.get("https://vicsee.com/api/v1/credits", timeout=1)


def test_standard_library():
    with pytest.raises(urllib.error.URLError, match=MESSAGE):
        urllib.request.urlopen("https://vicsee.com/", timeout=1)


async def call():
    async with aiohttp.ClientSession() as http:
        await http.get("https://vicsee.com/api/v1/credits")


def test_aiohttp():
    with pytest.raises(aiohttp.ClientConnectorError, match=MESSAGE):
        asyncio.run(call())


def test_uvloop():
    uvloop = pytest.importorskip("uvloop")

    async def connect():
        await asyncio.get_running_loop().create_connection(asyncio.Protocol, "vicsee.com", 443)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        with pytest.raises(socket.gaierror, match=MESSAGE):
            runner.run(connect())


def test_library_of_its_own_within_interception(upsim_intercept):
    with pytest.raises(urllib.error.URLError, match=MESSAGE):
        urllib.request.urlopen("https://vicsee.com/", timeout=1)


IN_PROCESS = r"upsim.test is the simulator in this process.* upsim_intercept, or .*upsim_server"


def test_address_of_the_simulator_in_process(upsim):
    url = upsim.base_url("vicsee") + "/api/v1/credits"
    with pytest.raises(httpx.ConnectError, match=IN_PROCESS):
        httpx.get(url, trust_env=False)
    with pytest.raises(requests.ConnectionError, match=IN_PROCESS):
        requests.get(url, timeout=1)
    with pytest.raises(socket.gaierror, match=IN_PROCESS):
        socket.create_connection(("UPSIM.test.", 80), timeout=1)
    assert upsim.http("vicsee").get("/api/v1/credits").is_success


def test_others_are_resolved():
    assert socket.getaddrinfo("localhost", 80)
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
"""


def test_hosts_are_blocked(run_tests: RunTests) -> None:
    """Every provider host is blocked for every library; all other hosts work."""
    run_tests("import uvloop\n" + BLOCKED).assert_outcomes(passed=19)


def test_report_names_the_host(run_tests: RunTests) -> None:
    """The report of a test that used a blocked host names the host and counts the lookups."""
    text = """
import socket

def test_it():
    for _ in range(2):
        try:
            socket.getaddrinfo("api.venice.ai", 443)
        except socket.gaierror:
            pass
    assert 0

def test_other():
    assert 0
"""
    result = run_tests(text)

    result.assert_outcomes(failed=2)
    assert ["hosts that were looked up: api.venice.ai (2×)"] == [
        line for line in result.outlines if line.startswith("hosts that were looked up")
    ]


def test_names_are_resolved_again_after_the_run(run_tests: RunTests) -> None:
    """The end of a pytest run restores the DNS functions in the same process."""
    text = f"""
import socket

import pytest

INNER = '''
import socket

import pytest


def test_it():
    with pytest.raises(socket.gaierror, match="upsim blocks"):
        socket.getaddrinfo("vicsee.com", 443)
'''


def places():
    return socket.getaddrinfo, socket.gethostbyname, vars(socket.socket).get("connect")


def test_it(tmp_path):
    before = places()
    file = tmp_path / "test_inner.py"
    file.write_text(INNER)
    options = [*{list(PLUGIN)!r}, "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]

    assert 0 == pytest.main([*options, str(file)])
    assert before == places()
"""
    run_tests(text).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("smi", "it must be sim, socket, server, live or the URL"),
        ("ftp://x", "it must be sim"),
        ("127.0.0.1:4747", "lacks http://: give http://127.0.0.1:4747"),
        ("http://a.test/venice", "URL of venice; that of the server is http://a.test"),
    ],
)
def test_wrong_target_is_refused(run_tests: RunTests, option: str, expected: str) -> None:
    """An unknown target ends the pytest run with an error message."""
    result = run_tests("def test_it():\n    pass\n", f"--upsim-target={option}")

    assert pytest.ExitCode.USAGE_ERROR == result.ret
    assert re.search(expected, "\n".join(result.errlines))


def test_live_needs_a_client(run_tests: RunTests) -> None:
    """The live target skips tests that need a sandbox, with the reason."""
    result = run_tests("def test_it(upsim):\n    pass\n", "--upsim-target=live", "-rs")

    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*--upsim-target=live has none; use the fixture upsim_client.*"])


@pytest.mark.parametrize("cap", ["much", "-1", "1e3"])
def test_wrong_cap_is_refused(run_tests: RunTests, cap: str) -> None:
    """A cap that is not a plain amount ends the pytest run with an error message."""
    result = run_tests("def test_it():\n    pass\n", f"--upsim-cap={cap}")

    assert pytest.ExitCode.USAGE_ERROR == result.ret
    assert f"--upsim-cap={cap}: it must be an amount such as 0.50" in "\n".join(result.errlines)


def test_missing_server_is_named(run_tests: RunTests) -> None:
    """If no server runs at the target, the error names the target, without a traceback."""
    result = run_tests("def test_it(upsim):\n    pass\n", "--upsim-target=http://127.0.0.1:9")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no simulator responds at http://127.0.0.1:9*"])
