"""Receivers on a real socket that do what they should not: every attempt ends, and is told."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.hosts import UNUSABLE_HOSTS, UNUSABLE_URLS
from tests.http.webhooks.test_handlers import Calls
from upsim.core.webhooks import AttemptOutcome
from upsim.engine.settings import ServerSettings
from upsim.engine.webhooks import MAX_ANSWER_KEPT, Posting
from upsim.web import webhook_targets
from upsim.web.webhook_targets import Receivers

if TYPE_CHECKING:
    from tests.http.webhooks.conftest import Start

Behave = Callable[[socket.socket, threading.Event], None]
PATIENCE = 0.5
"""Seconds that an attempt may take that would never end by itself."""
HEAD = b"HTTP/1.1 %s\r\ncontent-type: text/plain\r\n"


def says_nothing(_taken: socket.socket, over: threading.Event) -> None:
    """Take the request and never answer."""
    over.wait(600)


def drips_a_head(taken: socket.socket, over: threading.Event) -> None:
    """Send a status line byte by byte, without end."""
    taken.sendall(b"HTTP/1.1 200 O")
    while not over.wait(0.01):
        taken.sendall(b"K")


def drips_a_body(taken: socket.socket, over: threading.Event) -> None:
    """Say 200 and send a body byte by byte, without end."""
    taken.sendall(HEAD % b"200 OK" + b"\r\n")
    while not over.wait(0.01):
        taken.sendall(b"x")


def drips_an_error(taken: socket.socket, over: threading.Event) -> None:
    """Say 503 and send a body byte by byte, without end."""
    taken.sendall(HEAD % b"503 Busy" + b"\r\n")
    while not over.wait(0.01):
        taken.sendall(b"x")


def sends_megabytes(taken: socket.socket, _over: threading.Event) -> None:
    """Answer with ten of them."""
    taken.sendall(HEAD % b"200 OK" + b"content-length: 10485760\r\n\r\n" + b"y" * 10_485_760)


def floods(taken: socket.socket, over: threading.Event) -> None:
    """Send informational responses as fast as they are taken, without end."""
    while not over.is_set():
        taken.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" * 1_000)


def closes(_taken: socket.socket, _over: threading.Event) -> None:
    """Hang up without a word."""


def resets(taken: socket.socket, _over: threading.Event) -> None:
    """Reset the connection."""
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def cuts_a_body(taken: socket.socket, _over: threading.Event) -> None:
    """Say 200, promise ten bytes and send four."""
    taken.sendall(HEAD % b"200 OK" + b"content-length: 10\r\n\r\nhalf")


def points_inwards(taken: socket.socket, _over: threading.Event) -> None:
    """Redirect to a private host."""
    target = b"location: http://169.254.169.254/latest/meta-data\r\ncontent-length: 0\r\n\r\n"
    taken.sendall(HEAD % b"307 Elsewhere" + target)


def read_whole(taken: socket.socket) -> None:
    """Read a request to its end: closing before it would reset the connection."""
    with taken.makefile("rb") as request:
        head = iter(lambda: request.readline().strip().lower(), b"")
        lengths = [line.partition(b":")[2] for line in head if line.startswith(b"content-length:")]
        request.read(sum(map(int, lengths)))


async def until(holds: Callable[[], bool]) -> None:
    """Let everything else run until this holds."""
    async with asyncio.timeout(120):
        while not holds():  # noqa: ASYNC110 - what is waited for knows nothing of the test
            await asyncio.sleep(0.001)


@pytest.fixture
def listen() -> Iterator[Callable[[Behave], str]]:
    """Return a function that starts a receiver and gives its address."""
    over = threading.Event()
    sockets: list[socket.socket] = []

    def start(behave: Behave) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def one(taken: socket.socket) -> None:
            with suppress(OSError), taken:
                read_whole(taken)
                behave(taken, over)

        def serve() -> None:
            while True:
                try:
                    taken, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(taken,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/hook"

    yield start
    over.set()
    for listening in sockets:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()


@pytest.mark.parametrize(
    ("behave", "status", "error"),
    [
        (says_nothing, None, f"no answer within {PATIENCE} s"),
        (drips_a_head, None, f"no answer within {PATIENCE} s"),
        (drips_a_body, 200, f"no whole answer within {PATIENCE} s"),
        (drips_an_error, 503, f"no whole answer within {PATIENCE} s"),
        (sends_megabytes, 200, ""),
        (floods, None, "RemoteProtocolError: more than 20 informational responses"),
        (closes, None, "RemoteProtocolError: Server disconnected"),
        (resets, None, "ReadError"),
        (cuts_a_body, 200, "RemoteProtocolError: peer closed connection"),
        (points_inwards, 307, ""),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_every_attempt_ends_and_is_logged(
    start: Start, listen: Callable[[Behave], str], behave: Behave, status: int | None, error: str
) -> None:
    """The outcome of an attempt follows from its status; only the start of a body is stored."""
    seconds = PATIENCE if f"within {PATIENCE} s" in error else 300
    world = start(webhook_transport=None, webhook_seconds=seconds)
    world.wavespeed(hook=listen(behave))
    world.call("POST", "clock/advance", {"to": "idle"})
    attempts = world.only.attempts

    assert {status} == {attempt.status for attempt in attempts}
    assert all(attempt.error.startswith(error) for attempt in attempts), attempts
    assert all(len(attempt.answer) <= MAX_ANSWER_KEPT for attempt in attempts)
    assert (len(attempts), world.only.outcome) == (
        (1, "delivered") if status == 200 else (4, "given_up")
    )


@pytest.mark.parametrize("behave", [says_nothing, drips_a_head, drips_a_body, sends_megabytes])
def test_no_receiver_delays_a_response(
    start: Start, listen: Callable[[Behave], str], behave: Behave
) -> None:
    """The server responds to a hundred requests while a webhook delivery hangs."""
    world = start(webhook_transport=None, webhook_seconds=600, clock="scaled:1000000")
    calls = Calls()
    calls.world = world
    hook = listen(behave)

    async def program() -> int:
        await calls.submit(hook=hook)
        await until(lambda: bool(world.deliveries) and not world.sim.sandbox.webhooks.outbox)
        for _ in range(100):
            status, _ = await calls.call("GET", "/wavespeed/api/v3/balance")
            assert status == 200
        ended = len(world.only.attempts)
        await world.sim.app.deliverer.close()
        return ended

    assert asyncio.run(program()) <= (behave is sends_megabytes)  # the only one that ends


def test_proxy_variables_are_not_read(
    start: Start, listen: Callable[[Behave], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Webhooks are sent directly, even if an environment variable names a proxy."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    world = start(webhook_transport=None, webhook_seconds=300)
    world.wavespeed(hook=listen(sends_megabytes))
    world.call("POST", "clock/advance", {"to": "idle"})

    assert world.only.outcome == "delivered"


@pytest.mark.parametrize(
    "hook",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost.example/",
        "http://intranet/",
        "ftp://127.0.0.1/",
        "string",
    ],
)
def test_hosts_other_than_loopback_are_refused(start: Start, hook: str) -> None:
    """A webhook to another host is refused once, in the log, without a DNS lookup."""
    world = start(webhook_transport=None)
    world.wavespeed(hook=hook)
    world.call("POST", "clock/advance", {"to": "idle"})
    (attempt,) = world.only.attempts

    assert (world.only.outcome, attempt.unsent, attempt.status) == ("refused", True, None)


def test_a_failure_after_a_successful_resend_plans_no_retry(start: Start) -> None:
    """If a resend succeeds while another attempt runs and fails, no retry is planned."""
    gate = asyncio.Event()
    calls = Calls()

    async def slow(_request: object) -> httpx.Response:
        await gate.wait()
        return httpx.Response(500)

    world = start(slow, 200, webhook_seconds=600, clock="scaled:1000000")
    calls.world = world

    async def program() -> None:
        await calls.submit()
        await until(lambda: bool(world.receiver.requests))
        path = f"/__sim/sandboxes/default/webhooks/{world.only.id}/resend"
        await calls.call("POST", path, {})
        gate.set()
        await until(lambda: len(world.only.attempts) == 2)
        await world.sim.app.deliverer.close()

    asyncio.run(program())
    assert [(0, None), (1, None)] == [(a.number, a.next_at) for a in world.only.attempts]
    assert world.only.outcome == "delivered"


def test_hanging_receivers_leave_connections_for_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Webhook attempts of all sandboxes share one limit of open connections.

    Further attempts wait, and each attempt ends.
    """
    monkeypatch.setattr(webhook_targets, "most_open", lambda: 8)
    open_now, most = 0, 0

    class Hanging(httpx.AsyncBaseTransport):
        async def handle_async_request(self, _request: httpx.Request) -> httpx.Response:
            nonlocal open_now, most
            open_now += 1
            most = max(most, open_now)
            try:
                await asyncio.Event().wait()
            finally:
                open_now -= 1
            raise AssertionError

    async def program() -> list[AttemptOutcome]:
        async def app(*_: object) -> None:
            """Answer nobody."""

        posts = Receivers(ServerSettings(), app, Hanging())
        one = Posting("d", "j", 1, "http://127.0.0.1:9/", (), b"{}", 0, 1.0)
        return await asyncio.gather(*(posts.post(one, 0.02) for _ in range(50)))

    outcomes = asyncio.run(program())

    assert (8, 0) == (most, open_now)
    assert {"no answer within 0.02 s"} == {one.error for one in outcomes}


def test_a_webhook_to_an_unusable_url_ends_with_an_error() -> None:
    """A webhook attempt at an unusable URL ends with an error text, even if its host is allowed."""

    async def program() -> list[AttemptOutcome]:
        async def app(*_: object) -> None:
            """Answer nobody."""

        allowed = tuple(UNUSABLE_HOSTS.values())
        posts = Receivers(ServerSettings(webhook_allow=allowed), app, None)
        return [
            await posts.post(Posting("d", "j", 1, url, (), b"{}", 0, 1.0), 5)
            for url in UNUSABLE_URLS.values()
        ]

    outcomes = asyncio.run(program())

    assert [None] * len(UNUSABLE_URLS) == [one.status for one in outcomes]
    assert all(one.error for one in outcomes)
