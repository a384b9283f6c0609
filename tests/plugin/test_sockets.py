"""Under pytest-socket the fixtures work without a socket, and a port is opened only when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.plugin.conftest import RunTests

pytest_plugins = ["pytester"]

IN_PROCESS = """
import asyncio
import socket

import httpx
import pytest

PATH, BODY = "/api/v1/tools/upscale-video", {"upscale_factor": "2"}


def test_http(upsim, upsim_ledger):
    answer = upsim.http("vicsee").post(PATH, json=BODY | {"video_url": upsim.clip(seconds="4")})

    assert answer.status_code == 200
    assert upsim_ledger.spent("vicsee") == 64


def test_client(upsim, upsim_client, tmp_path):
    client = upsim_client("venice/topaz-video-upscale")
    client.upscale(upsim.clip("320x240", "30", "2"), tmp_path / "out.mp4")

    assert (tmp_path / "out.mp4").stat().st_size > 0


def test_webhook(upsim, upsim_inbox):
    path = f"/api/v3/runwayml/upscale-v1?webhook={upsim_inbox.url}"
    upsim.http("wavespeed").post(path, json={"video": upsim.clip()}).raise_for_status()

    assert len(upsim_inbox.wait(1)) == 1


def test_intercept(upsim_intercept):
    headers = {"authorization": "Bearer any"}

    assert httpx.get("https://vicsee.com/api/v1/models", headers=headers).status_code == 200


def test_journal_and_clock(upsim, upsim_clock):
    upsim_clock.advance(60)

    assert upsim.journal == []


def test_sockets_are_still_refused(upsim):
    with pytest.raises(RuntimeError, match="socket"), pytest.warns(UserWarning):
        socket.socket()
"""
BLOCK = ("--disable-socket", "-p", "no:anyio")


def test_fixtures_need_no_socket(run_tests: RunTests) -> None:
    """Every fixture except `upsim_server` works under `--disable-socket`."""
    run_tests(IN_PROCESS, *BLOCK).assert_outcomes(passed=6)


def test_simulator_needs_no_socket(run_tests: RunTests) -> None:
    """`upsim.Simulator` serves sync and async clients without opening a socket."""
    text = """
import httpx
from upsim import Simulator

def test_it():
    with Simulator(scenario="vicsee/happy-path-fast", clock="manual") as sim:
        http = httpx.Client(transport=sim.transport(), base_url=sim.base_url("vicsee"))
        assert http.get("/api/v1/models").status_code == 200
        sim.advance(10)
"""
    run_tests(text, *BLOCK).assert_outcomes(passed=1)


def test_no_port_is_open_until_a_test_asks(run_tests: RunTests) -> None:
    """Without `upsim_server` no socket is created; with it, the server responds at its URL."""
    text = """
import socket

import httpx
import pytest

made = []


@pytest.fixture(autouse=True, scope="session")
def counted():
    def opened(self, *args, **options):
        made.append(args)
        begin(self, *args, **options)
    begin, socket.socket.__init__ = socket.socket.__init__, opened
    yield
    socket.socket.__init__ = begin


def test_in_process(upsim):
    assert upsim.http("vicsee").get("/api/v1/models").status_code == 200
    assert made == []


def test_server(upsim, upsim_server):
    headers = {"authorization": f"Bearer {upsim.key('vicsee')}"}
    url = f"{upsim_server.base_url('vicsee')}/api/v1/models"

    assert httpx.get(url, headers=headers, trust_env=False).status_code == 200
    assert made


def test_own_clip(upsim, upsim_server):
    clip = f"{upsim_server.url}/media/synthetic/64x36_10fps_2s.mp4"
    body = {"video_url": clip, "upscale_factor": "2"}
    upsim.http("vicsee").post("/api/v1/tools/upscale-video", json=body)

    assert upsim.ledger.spent("vicsee") == 32  # two seconds: the clip of the address, not a default
"""
    run_tests(text, "-p", "no:anyio").assert_outcomes(passed=3)


def test_server_names_the_marker_for_sockets(run_tests: RunTests) -> None:
    """`upsim_server` names the marker that allows sockets, and works with that marker."""
    text = """
import httpx
import pytest

def test_refused(upsim_server):
    pass

@pytest.mark.enable_socket
def test_allowed(upsim, upsim_server):
    headers = {"authorization": f"Bearer {upsim.key('vicsee')}"}
    url = f"{upsim_server.base_url('vicsee')}/api/v1/models"
    assert httpx.get(url, headers=headers, trust_env=False).status_code == 200
"""
    result = run_tests(text, *BLOCK, "-W", "ignore::UserWarning")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*upsim_server opens a port*@pytest.mark.enable_socket*"])


def test_providers_stay_blocked(run_tests: RunTests) -> None:
    """After pytest-socket removes its patches, the plug-in still blocks the provider hosts."""
    text = """
import socket
import ssl

import pytest

@pytest.fixture(params=[1, 2])
def again(request):
    return request.param

@pytest.mark.disable_socket
def test_closed(again, upsim):
    assert "GuardedSocket" not in [kind.__name__ for kind in ssl.SSLSocket.__mro__]

@pytest.mark.enable_socket
def test_open(again):
    with pytest.raises(OSError, match="upsim blocks vicsee.com"):
        socket.getaddrinfo("vicsee.com", 443)
    with socket.socket() as own, pytest.raises(OSError, match="upsim blocks vicsee.com"):
        own.connect(("vicsee.com", 443))
"""
    run_tests(text, "-p", "no:anyio").assert_outcomes(passed=4)
