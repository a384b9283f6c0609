"""Requests for a foreign host are refused on every path while a socket is bound to loopback."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.hosts import ELSEWHERE, LOOPBACK
from tests.http.conftest import refusal_of
from upsim.app import App
from upsim.core.bounded_cache import BoundedCache
from upsim.engine.settings import ServerSettings
from upsim.transport import Transport
from upsim.web import allowed_hosts
from upsim.web.allowed_hosts import Door

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

BASE = "http://127.0.0.1:4747"
PATHS = [
    "/",
    "/vicsee/api/v1/credits",
    "/venice/live/api/v1/models",
    "/sandbox/default/vicsee/api/v1/credits",
    "/media/synthetic/16x16_1fps_1s.mp4",
    "/media/uploads/nothing",
    "/sandbox/default/media/outputs/nothing.mp4",
    "/__sim/livez",
    "/__sim/sandboxes",
    "/api/v1/credits",
    "/nothing",
]
PROVIDERS = ["api.wavespeed.ai", "API.venice.ai.", "api.piapi.ai", "upload.theapi.app"]


@pytest.fixture
def open_door() -> Iterator[Callable[..., Door]]:
    """Return a function that makes a server as a socket on loopback offers it."""
    made: list[App] = []

    def start(**settings: Any) -> Door:  # noqa: ANN401 - settings of the server
        made.append(App(ServerSettings(hosts=("127.0.0.1:4747",), clock="manual", **settings)))
        return made[-1].door(BASE)

    yield start
    for app in made:
        app.close()


@pytest.fixture
def door(open_door: Callable[..., Door]) -> Door:
    """Return a server without further names."""
    return open_door()


def call(app: ASGIApp, path: str, host: str | None, method: str = "GET") -> httpx.Response:
    """Send one request with this Host header, or with none."""
    run = Transport(app, lambda begin: asyncio.run(begin()))
    with httpx.Client(transport=run, base_url=BASE, headers={"x-api-key": "any"}) as http:
        request = http.build_request(method, path, headers={"Authorization": "Bearer sk-any"})
        del request.headers["host"]
        if host is not None:
            request.headers["host"] = host
        return http.send(request)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
@pytest.mark.parametrize("path", PATHS)
def test_no_path_answers_a_foreign_host(door: Door, path: str, method: str) -> None:
    """A web page that rebinds its host name to this machine gets only the refusal."""
    answer = call(door, path, "evil.test:4747", method)
    text = answer.text if method != "HEAD" else ""
    assert (421, method == "HEAD" or "foreign_host" in text) == (answer.status_code, True)
    assert "access-control-allow-origin" not in answer.headers


def test_the_refusal_says_what_to_do(door: Door) -> None:
    """The message names the host, the URL that works, and the option."""
    expected = (
        "this server does not accept the Host 'sim.example:80': use "
        "http://127.0.0.1:4747, or start it with --allow-host sim.example"
    )
    answer = call(door, "/vicsee/api/v1/credits", "sim.example:80")
    assert (421, "foreign_host", expected) == refusal_of(answer)


@pytest.mark.parametrize(
    "host",
    [
        *(host for host in ELSEWHERE if host != "api.venice.ai"),
        "x" * 5000,
        "user@localhost",
        "localhost:x",
        "::1",
        "127.0.0.1:4747, evil.test",
        "evil.test#localhost",
        "\x1b[31m",
    ],
)
def test_a_name_like_loopback_is_foreign(door: Door, host: str) -> None:
    """Names that only resemble loopback, and invalid hosts, are refused in a short message."""
    answer = call(door, "/vicsee/api/v1/credits", host)
    assert (421, True) == (answer.status_code, len(answer.content) < 600)


@pytest.mark.parametrize("port", ["", ":1"])
@pytest.mark.parametrize("host", [*LOOPBACK, *PROVIDERS])
def test_loopback_and_the_providers_own_hosts_are_accepted(
    door: Door, host: str, port: str
) -> None:
    """Every spelling of loopback and each provider's own host is accepted."""
    path = "/" if host in PROVIDERS else "/vicsee/api/v1/credits"
    assert call(door, path, f"{host}{port}").status_code != 421


@pytest.mark.parametrize("host", [None, ""])
def test_a_request_without_a_host_is_accepted(door: Door, host: str | None) -> None:
    """A request without a Host cannot come from a browser, so it is accepted."""
    assert call(door, "/vicsee/api/v1/credits", host).status_code == 200


@pytest.mark.parametrize(
    "settings",
    [{"public_url": "https://Sim.example/base"}, {"allow_hosts": ("SIM.example", "other.example")}],
)
def test_named_hosts_are_accepted(
    open_door: Callable[..., Door], settings: dict[str, object]
) -> None:
    """The hosts of `--public-url` and `--allow-host` are accepted with any port."""
    door = open_door(**settings)
    asked = ["sim.example", "sim.example.:4747", "evil.example", "x.sim.example"]
    found = [call(door, "/vicsee/api/v1/credits", host).status_code for host in asked]
    assert [200, 200, 421, 421] == found


def test_an_allowed_host_needs_the_token_of_the_admin_api(open_door: Callable[..., Door]) -> None:
    """With an allowed host that is not loopback, the admin API needs its token."""
    door = open_door(allow_hosts=("sim.example",))
    assert call(door, "/__sim/sandboxes", "sim.example").status_code == 401


def test_the_cache_of_accepted_hosts_stays_small(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each host is checked once; the cache stays small even if a client sends many hosts."""
    judged: list[str] = []

    def judge(name: str) -> bool:
        judged.append(name)
        return True

    monkeypatch.setattr(allowed_hosts, "is_loopback", judge)
    monkeypatch.setattr(door, "_accepted", BoundedCache[bytes, None](8))
    for port in (*range(1, 21), 20, 20):
        call(door, "/vicsee/api/v1/credits", f"localhost:{port}")
    assert (20, True) == (len(judged), len(door._accepted) <= 8)


def test_observers_get_each_refusal(open_door: Callable[..., Door]) -> None:
    """Each observer is called with each refusal."""
    told: list[tuple[object, ...]] = []
    app = open_door().app
    assert isinstance(app, App)
    call(app.door(BASE, lambda *found: told.append(found)), "/__sim/livez", "evil.test")
    assert [("GET", "/__sim/livez", 421)] == [found[:3] for found in told]


def test_in_process_every_host_is_accepted(door: Door) -> None:
    """An application without a socket accepts every host."""
    assert call(door.app, "/vicsee/api/v1/credits", "any.example").status_code == 200
