"""Connections that answer at once what needs no waiting, driven without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from uvicorn.server import ServerState

from upsim.cli.fast_protocol import TLS_CAME, FastPathProtocol
from upsim.web.whole_responses import HttpResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

POST = b"POST /jobs?a=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"
GET = b"GET /jobs/%2F HTTP/1.1\r\nHost: x\r\n\r\n"
QUICK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
USUAL = (
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-type: text/plain; charset=utf-8\r\n\r\nusual"
)


class Wire(asyncio.Transport):
    """A transport that remembers what was written."""

    def __init__(self) -> None:
        """Nothing was written yet."""
        super().__init__()
        self.written: list[bytes] = []
        self.untaken = 0
        self.aborted = False
        self.closed = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Remember a write."""
        self.written.append(bytes(data))

    def close(self) -> None:
        """Remember the close."""
        self.closed.set()

    def abort(self) -> None:
        """Remember that it was cut."""
        self.aborted = True
        self.closed.set()

    def get_write_buffer_size(self) -> int:
        """What the other end did not take yet, as the test says."""
        return self.untaken

    def is_closing(self) -> bool:
        """Closing once closed."""
        return self.closed.is_set()

    def pause_reading(self) -> None:
        """Take no notice."""

    def resume_reading(self) -> None:
        """Take no notice."""


@dataclass
class App:
    """Answers at once with `answer`, or as any application does."""

    answer: Callable[[], ASGIApp] = lambda: HttpResponse(200, b"{}")
    asked: list[tuple[str, str, bytes, bytes]] = field(default_factory=list)

    def fast_path(self, scope: Scope, body: bytes) -> ASGIApp:
        """Remember the request and answer it."""
        self.asked.append((scope["method"], scope["path"], scope["query_string"], body))
        return self.answer()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a text, once the whole body is read."""
        while (await receive()).get("more_body"):
            pass
        await PlainTextResponse("usual")(scope, receive, send)


def connected(app: App, *, keep_alive: float = 5) -> tuple[FastPathProtocol, Wire]:
    """Return a connection to the application, and its transport."""
    config = uvicorn.Config(
        app, date_header=False, server_header=False, log_level="critical", log_config=None
    )
    config.timeout_keep_alive = keep_alive  # type: ignore[assignment]  # whole seconds take long
    protocol = FastPathProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    wire = Wire()
    protocol.connection_made(wire)
    return protocol, wire


async def settled(protocol: FastPathProtocol) -> None:
    """Let the tasks of a connection end."""
    while protocol.tasks:
        await asyncio.wait(protocol.tasks)
        await asyncio.sleep(0)


async def test_a_complete_request_is_answered_in_the_same_turn() -> None:
    """For a complete request, the server writes the response at once, in one piece."""
    app = App()
    protocol, wire = connected(app)
    protocol.data_received(POST)
    assert ([("POST", "/jobs", b"a=1", b"body")], [QUICK]) == (app.asked, wire.written)


async def test_requests_of_a_connection_share_no_state() -> None:
    """State that is stored for one request is absent in the next request of the connection."""
    states: list[dict[str, object]] = []

    class Noting(App):
        def fast_path(self, scope: Scope, body: bytes) -> ASGIApp:
            states.append(dict(scope["state"]))
            scope["state"]["command"] = "noted"
            return super().fast_path(scope, body)

    protocol, _ = connected(Noting())
    protocol.data_received(GET)
    protocol.data_received(GET + GET)
    await settled(protocol)

    assert [{}, {}, {}] == states


async def test_a_path_is_unquoted() -> None:
    """The application gets the same decoded path as from uvicorn."""
    app = App()
    protocol, _ = connected(app)
    protocol.data_received(GET)
    assert [("GET", "/jobs//", b"", b"")] == app.asked


async def test_pipelined_requests_are_answered_in_order() -> None:
    """Pipelined requests that need no waiting get their responses in order."""
    app = App()
    protocol, wire = connected(app)
    protocol.data_received(POST + GET)
    assert (["POST", "GET"], [QUICK, QUICK]) == ([asked[0] for asked in app.asked], wire.written)


async def test_a_waiting_request_delays_the_requests_behind_it() -> None:
    """A pipelined request gets its response only after the request before it."""
    app = App()
    app.answer = lambda: app
    protocol, wire = connected(app)
    protocol.data_received(POST)
    app.answer = lambda: HttpResponse(200, b"{}")
    protocol.data_received(GET)
    await settled(protocol)
    assert USUAL + USUAL == b"".join(wire.written)


async def test_a_body_in_pieces_uses_the_normal_path() -> None:
    """If a body arrives in pieces, the application reads it, not the fast path."""
    app = App()
    protocol, wire = connected(app)
    protocol.data_received(POST[:-2])
    protocol.data_received(POST[-2:])
    await settled(protocol)
    assert ([], USUAL) == (app.asked, b"".join(wire.written))


OFFER = b"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: %b\r\nHTTP2-Settings: x\r\n\r\n"


@pytest.mark.parametrize("other", [b"h2c", b"websocket"])
async def test_an_upgrade_offer_is_ignored(other: bytes) -> None:
    """An offer of another protocol is ignored; this request and later ones get responses."""
    app = App()
    protocol, wire = connected(app)
    offering = POST.replace(b"\r\n\r\n", OFFER % other)
    protocol.data_received((offering + GET) * 2)
    assert [b"body", b"", b"body", b""] == [asked[-1] for asked in app.asked]
    assert [QUICK] * 4 == wire.written


async def test_an_upgrade_offer_with_a_body_in_pieces() -> None:
    """A request that offers another protocol gets its response wherever its body is split."""
    for at in range(1, len(POST.replace(b"\r\n\r\n", OFFER % b"h2c"))):
        app = App()
        protocol, wire = connected(app)
        offering = POST.replace(b"\r\n\r\n", OFFER % b"h2c")
        protocol.data_received(offering[:at])
        protocol.data_received(offering[at:])
        await settled(protocol)
        assert b"".join(wire.written) in (QUICK, USUAL)


async def test_a_tunnel_is_refused() -> None:
    """The server refuses a CONNECT request."""
    app = App()
    protocol, wire = connected(app)
    protocol.data_received(b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
    assert ([], b"HTTP/1.1 400") == (app.asked, wire.written[0][:12])
    assert wire.is_closing()


@pytest.mark.parametrize(
    "request_",
    [
        GET.replace(b"GET", b"HEAD"),
        GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-Proto: https\r\n\r\n"),
        GET.replace(b"HTTP/1.1", b"HTTP/1.0"),
        GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        GET.replace(b"/jobs/%2F", b"/jobs#part"),
    ],
    ids=["HEAD", "forwarded", "old", "last", "fragment"],
)
async def test_unusual_requests_use_the_normal_path(request_: bytes) -> None:
    """A request that needs more than a one-piece response is handled by uvicorn."""
    app = App()
    protocol, wire = connected(app)
    protocol.data_received(request_)
    await settled(protocol)
    assert ([], b"HTTP/1.1 200 OK\r\n") == (app.asked, b"".join(wire.written)[:17])


async def test_a_client_that_expects_100_continue_gets_it() -> None:
    """The server sends `100 Continue` before it waits for the body."""
    app = App()
    protocol, wire = connected(app)
    protocol.data_received(POST[:-4].replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"))
    await asyncio.sleep(0)
    protocol.data_received(b"body")
    await settled(protocol)
    assert b"HTTP/1.1 100 Continue\r\n\r\n" + USUAL == b"".join(wire.written)


async def test_an_internal_error_is_a_500() -> None:
    """An exception on the fast path gives a 500, as an application error in uvicorn does."""

    def fail() -> ASGIApp:
        raise LookupError("broken")

    protocol, wire = connected(App(fail))
    protocol.data_received(POST)
    await settled(protocol)
    assert b"HTTP/1.1 500 Internal Server Error\r\n" == b"".join(wire.written)[:36]


async def test_a_header_with_a_line_break_is_refused() -> None:
    """A header value with a line break cannot add another header to the response."""
    protocol, wire = connected(App(lambda: HttpResponse(200, b"{}", ((b"x", b"1\r\ny: 2"),))))
    protocol.data_received(GET)
    await settled(protocol)
    assert ([], True) == (wire.written, wire.is_closing())


async def test_extra_headers_follow_the_length() -> None:
    """The provider's own headers follow the headers of the body."""
    protocol, wire = connected(
        App(lambda: HttpResponse(200, b"{}", ((b"x-a", b"1"), (b"x-b", b"2"))))
    )
    protocol.data_received(GET)
    assert [QUICK.replace(b"\r\n\r\n", b"\r\nx-a: 1\r\nx-b: 2\r\n\r\n")] == wire.written


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"\x00\x01\r\n\r\n", "Invalid HTTP request received."),
        (b"\x16\x03\x01\x02\x00\x01", TLS_CAME),
        (b"\x16", TLS_CAME),
    ],
)
async def test_invalid_http_is_a_400_and_ends_the_connection(
    sent: bytes, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Bytes that are not HTTP get a 400, and the log names a TLS handshake as such."""
    protocol, wire = connected(App())
    caplog.set_level("WARNING", "uvicorn.error")  # the configuration has set another
    protocol.data_received(sent)
    assert (b"HTTP/1.1 400 Bad Request\r\n", True) == (wire.written[0][:26], wire.is_closing())
    assert [one.startswith(said) for one in caplog.messages] == [True]


@pytest.mark.parametrize("at_once", [True, False])
async def test_an_idle_connection_is_closed(at_once: bool) -> None:  # noqa: FBT001
    """A connection without a new request after a response is closed after the idle time-out."""
    app = App()
    app.answer = (lambda: HttpResponse(200, b"{}")) if at_once else (lambda: app)
    protocol, wire = connected(app, keep_alive=0.001)
    protocol.data_received(POST)
    await settled(protocol)
    await asyncio.wait_for(wire.closed.wait(), 300)
    assert wire.is_closing()


@pytest.mark.parametrize("at_once", [True, False])
async def test_blank_lines_do_not_keep_a_connection_open(at_once: bool) -> None:  # noqa: FBT001
    """Line breaks between requests are ignored: the idle time-out closes the connection."""
    app = App()
    app.answer = (lambda: HttpResponse(200, b"{}")) if at_once else (lambda: app)
    protocol, wire = connected(app, keep_alive=0.001)
    protocol.data_received(POST)
    await settled(protocol)
    protocol.data_received(b"\r\n")
    protocol.timeout_keep_alive_handler()
    await asyncio.wait_for(wire.closed.wait(), 300)
    assert 1 == b"".join(wire.written).count(b"HTTP/1.1 ")


async def test_the_idle_time_starts_after_the_whole_request() -> None:
    """After an early response, the idle time-out starts when the rest of the body has arrived."""

    async def hasty(scope: Scope, receive: Receive, send: Send) -> None:
        await HttpResponse(200, b"{}")(scope, receive, send)

    protocol, wire = connected(App(), keep_alive=0.001)
    protocol.app = hasty
    protocol.data_received(POST[:-2])
    await settled(protocol)
    protocol.timeout_keep_alive_handler()
    assert not wire.is_closing()
    protocol.data_received(POST[-2:])
    await asyncio.wait_for(wire.closed.wait(), 300)
    assert b"HTTP/1.1 200 OK" == b"".join(wire.written)[:15]


async def test_a_request_that_began_during_a_response_is_not_idle() -> None:
    """The idle time-out of one response does not cut the next pipelined request."""
    app, go_on = App(), asyncio.Event()

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await go_on.wait()
        await app(scope, receive, send)

    app.answer = lambda: late
    protocol, wire = connected(app, keep_alive=0)
    protocol.data_received(POST + GET[:20])
    go_on.set()
    await settled(protocol)
    go_on.clear()
    protocol.timeout_keep_alive_handler()
    protocol.data_received(GET[20:])
    protocol.timeout_keep_alive_handler()
    assert not wire.is_closing()
    go_on.set()
    await settled(protocol)
    assert USUAL + USUAL == b"".join(wire.written)


async def test_a_used_connection_stays_open() -> None:
    """If a connection was used after its timer started, the timer is restarted."""
    protocol, wire = connected(App())
    protocol.data_received(POST)
    timer = protocol.timeout_keep_alive_task
    protocol.timeout_keep_alive_handler()
    again = protocol.timeout_keep_alive_task
    assert (False, False, True) == (wire.is_closing(), timer is None, again is not timer)


async def test_a_running_request_has_no_idle_timeout() -> None:
    """No idle timer closes a connection while a request is being read."""
    protocol, wire = connected(App(), keep_alive=0)
    protocol.data_received(POST)
    protocol.data_received(POST[:20])
    protocol.timeout_keep_alive_handler()
    assert not wire.is_closing()


async def test_a_lost_connection_leaves_no_timer() -> None:
    """After a connection is lost, no timer checks it any more."""
    protocol, _ = connected(App())
    protocol.data_received(POST)
    protocol.connection_lost(ConnectionResetError())
    assert protocol.timeout_keep_alive_task is None


async def test_a_pipeline_that_is_cut() -> None:
    """If the client leaves, the running request is notified, even with other requests behind it."""
    told: list[str] = []

    async def waiting(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            pass
        told.append(message["type"])

    app = App(lambda: waiting)
    protocol, _ = connected(app)
    protocol.data_received(GET * 3)
    await asyncio.sleep(0)
    protocol.connection_lost(None)
    await settled(protocol)
    assert ["http.disconnect"] == told


@dataclass
class Mirror(App):
    """Answers with what it was asked for."""

    seen: list[tuple[str, str, bytes, bytes]] = field(default_factory=list)

    def fast_path(self, scope: Scope, body: bytes) -> ASGIApp:
        """Remember where the request points."""
        (host,) = [value for name, value in scope["headers"] if name == b"host"]
        self.seen.append((scope["scheme"], scope["path"], scope["query_string"], host))
        return HttpResponse(200, body)


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        ("http://api.venice.ai/api/v1?a=1", ("http", "/api/v1", b"a=1", b"api.venice.ai")),
        ("HTTPS://A.example:8443/%2F", ("https", "//", b"", b"A.example:8443")),
        ("http://[::1]:5", ("http", "/", b"", b"[::1]:5")),
        ("http://a.example?a=/b", ("http", "/", b"a=/b", b"a.example")),
    ],
)
@pytest.mark.parametrize("hosts", ["Host: x\r\n", ""])
async def test_the_host_of_a_whole_url_wins(
    target: str, seen: tuple[object, ...], hosts: str
) -> None:
    """A request target with a whole URL sets scheme, host and path; the Host header is ignored."""
    app = Mirror()
    protocol, _ = connected(app)
    protocol.data_received(f"GET {target} HTTP/1.1\r\n{hosts}\r\n".encode())
    assert [seen] == app.seen


@pytest.mark.parametrize(
    "target",
    [
        "ftp://a.example/x",
        "http:///x",
        "http://u:p@a.example/x",
        "http://a.example:99999/",
        "http://a.example:x/",
        "http://[::1/",
        "ws://a.example/",
    ],
)
async def test_other_targets_are_refused(target: str) -> None:
    """A request target that is no path and no http URL gets a 400 and a closed connection."""
    app = App()
    protocol, wire = connected(app)
    protocol.data_received(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = b"".join(wire.written)
    assert (b"HTTP/1.1 400 ", []) == (answer[:13], app.asked)
    assert b"\r\nconnection: close\r\n" in answer


@pytest.mark.parametrize(
    "hosts",
    [
        "Host: x\r\nHost: x",
        "Host: x\r\nhOST: y",
        "Host: x, y",
        "Host: x:080",
        "Host: x/y",
        "Host: u@x",
        "Host: x\r\nHost:",
        "Host: x\r\nHost: y\r\nConnection: upgrade\r\nUpgrade: h2c",
    ],
)
@pytest.mark.parametrize("target", ["/venice/api/v1/x", "http://api.venice.ai/x"])
async def test_several_hosts_are_refused(hosts: str, target: str) -> None:
    """A request with several Host headers, or an invalid one, gets a 400 on every path."""
    app = App()
    protocol, wire = connected(app)
    protocol.data_received(f"GET {target} HTTP/1.1\r\n{hosts}\r\n\r\n".encode())
    answer = b"".join(wire.written)
    assert (b"HTTP/1.1 400 ", []) == (answer[:13], app.asked)
    assert answer.endswith(b"A request has one Host header: a host, and perhaps a port.")


@pytest.mark.parametrize("chunks", [b"4\r\nbody\r\n", b"2\r\nbo\r\n2\r\ndy\r\n"])
@pytest.mark.parametrize(
    "trailer",
    [
        "Authorization: Bearer b",
        "Host: b",
        "Content-Type: b",
        "Expect: 100-continue",
        "X-Api-Key: b",
    ],
)
async def test_trailers_are_no_headers(chunks: bytes, trailer: str) -> None:
    """Trailers after a body do not change the key, host or content type of the request."""
    seen: list[object] = []

    class Headers(App):
        def fast_path(self, scope: Scope, body: bytes) -> ASGIApp:
            seen.append((scope["headers"], body))
            return HttpResponse(200, b"{}")

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            body = (await receive())["body"]
            await HttpResponse(200, b"{}")(scope, receive, send)
            seen.append((scope["headers"], body))

    protocol, wire = connected(Headers())
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    protocol.data_received(head + chunks + f"0\r\n{trailer}\r\n\r\n".encode() + GET)
    await settled(protocol)
    expected = [(b"host", b"a"), (b"transfer-encoding", b"chunked")]
    assert [(expected, b"body"), ([(b"host", b"x")], b"")] == seen
    assert b"100 Continue" not in b"".join(wire.written)


@pytest.mark.parametrize("more", ["", "Upgrade: h2c\r\nConnection: upgrade\r\n"])
@pytest.mark.parametrize("version", ["2.0", "0.9"])
async def test_other_http_versions_are_refused(version: str, more: str) -> None:
    """A request with a version other than HTTP/1.0 or 1.1 gets one 505 and a closed connection."""
    app = App()
    protocol, wire = connected(app)
    protocol.data_received(f"GET / HTTP/{version}\r\nHost: x\r\n{more}\r\n".encode())
    answer = b"".join(wire.written)
    head, _, text = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 505 ")
    assert b"connection: close" in head
    assert (text, app.asked) == (b"This server speaks HTTP/1.1.", [])
