"""What one connection may send, and how slowly, driven without a socket."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING

import pytest
import uvicorn
from uvicorn.server import ServerState

from tests.unit.cli.test_fast_protocol import GET, POST, QUICK, USUAL, App, Wire, connected, settled
from upsim.cli import connection_limits
from upsim.cli.connection_limits import MAX_HEAD, MAX_PIPELINED, SLICE, STEPS_A_TURN
from upsim.cli.fast_protocol import FastPathProtocol
from upsim.cli.unsent_bytes import unsent_bytes
from upsim.web.whole_responses import HttpResponse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\n"


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let connections be looked at again and again at once."""
    monkeypatch.setattr(connection_limits, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(connection_limits, "LINGER_SECONDS", 0.0)


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no connection be looked at but by the test itself."""
    monkeypatch.setattr(connection_limits, "LOOK_SECONDS", 3_600.0)


@pytest.mark.parametrize("piece", [SLICE // 2, SLICE, 32 * SLICE])
@pytest.mark.parametrize("begins", [b"GET /jobs HTTP/1.1\r\nX-Long: ", b"GET /"])
async def test_a_head_without_an_end_is_refused(
    piece: int, begins: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """An endless header or path gets an error response soon after the limit, and a log line."""
    app = App()
    protocol, wire = connected(app)
    caplog.set_level("WARNING", "uvicorn.error")
    protocol.data_received(begins)
    sent = 0
    while not wire.written and sent < 64 * MAX_HEAD:
        protocol.data_received(b"x" * piece)
        sent += piece
    assert TOO_LONG == wire.written[0][: len(TOO_LONG)]
    assert (True, []) == (sent <= MAX_HEAD + piece, app.asked)
    said = (
        "a request was refused with 431: The request line and headers may have at most 65536 bytes."
    )
    assert [said] == caplog.messages


@pytest.mark.parametrize("host", [b"", b"Host: localhost\r\n"])
async def test_a_target_just_above_the_limit_is_refused(host: bytes) -> None:
    """A request target just above the limit is refused as too long and is not parsed."""
    app = App()
    protocol, wire = connected(app)
    protocol.data_received(b"GET /%b HTTP/1.1\r\n%b\r\n" % (b"x" * MAX_HEAD, host))
    assert (TOO_LONG, []) == (wire.written[0][: len(TOO_LONG)], app.asked)


@pytest.mark.usefixtures("soon")
async def test_bytes_after_a_refused_head_are_dropped() -> None:
    """After a refused head, the server sends no second response and closes the connection."""
    protocol, wire = connected(App())
    protocol.data_received(b"GET /" + b"x" * 2 * MAX_HEAD)
    protocol.data_received(b" HTTP/1.1\r\n\r\n" + GET)
    await asyncio.wait_for(wire.closed.wait(), 300)
    assert 1 == len(wire.written)


async def test_a_long_head_within_the_limit_is_read() -> None:
    """A request head of 60,000 bytes is read normally."""
    app = App()
    protocol, wire = connected(app)
    protocol.data_received(GET.replace(b"Host: x", b"Host: x\r\nX-Long: " + b"x" * 60_000))
    assert (1, [QUICK]) == (len(app.asked), wire.written)


@pytest.mark.parametrize("rest", [b"a" * 9, b"0\r\nX: " + b"a" * 9, b"0\r\n" + b"X: 1\r\n"])
async def test_chunk_extensions_and_trailers_are_limited(rest: bytes) -> None:
    """Chunk extensions and trailers above the limit of a head get a 431 and end the request."""
    app = App()
    protocol, wire = connected(app)
    chunked = POST.partition(b"\r\n")[0] + b"\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    begin, _, last = rest.rpartition(b"\r\n")
    endless = b"1;" + rest if not begin else rest if not last else begin + b"\r\n" + last
    protocol.data_received(chunked + endless)
    more = b"X: 1\r\n" if not last else b"a" * 100
    for _ in range(3 * MAX_HEAD // len(more)):
        if wire.written:
            break
        protocol.data_received(more)
    assert b"HTTP/1.1 431" == wire.written[0][:12]


async def test_a_malformed_chunked_body_is_refused() -> None:
    """A malformed chunked body gets a 400, and the application does not get the request."""
    app = App()
    protocol, wire = connected(app)
    head = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    protocol.data_received(head + b"1\r\nax\r\n")
    await asyncio.sleep(0)
    assert (b"HTTP/1.1 400", []) == (wire.written[0][:12], app.asked)


async def test_many_pipelined_requests_do_not_block_the_event_loop() -> None:
    """Thousands of pipelined requests take several event loop turns; responses keep their order."""
    app = App()
    protocol, wire = connected(app)
    many = 20 * STEPS_A_TURN
    protocol.data_received(GET * many)
    at_first = len(app.asked)
    protocol.data_received(POST)
    for _ in range(many):
        await asyncio.sleep(0)
    assert at_first <= STEPS_A_TURN + SLICE // len(GET)
    assert [QUICK] * (many + 1) == wire.written
    assert "POST" == app.asked[-1][0]


async def test_requests_behind_a_slow_response_stay_unread() -> None:
    """Only a few pipelined requests are in memory at once, and responses keep their order."""
    app, free = App(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await free.wait()
        await app(scope, receive, send)

    app.answer = lambda: slow
    protocol, wire = connected(app)
    many = 2_000
    for _ in range(4):
        protocol.data_received(GET * (many // 4))
        await asyncio.sleep(0)
    most = MAX_PIPELINED + SLICE // len(GET)
    assert MAX_PIPELINED <= len(protocol.pipeline) <= most
    assert len(app.asked) == 1
    free.set()
    while len(wire.written) < 2 * many:
        await asyncio.sleep(0)
        assert len(protocol.pipeline) <= most
    assert USUAL * many == b"".join(wire.written)
    assert not protocol.flow.held


async def test_upgrade_offers_are_read_a_slice_at_a_time() -> None:
    """A thousand pipelined requests that offer another protocol each get a response."""
    app = App()
    protocol, wire = connected(app)
    offer = GET.replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")
    protocol.data_received(offer * 1_000)
    for _ in range(100):
        await asyncio.sleep(0)
    assert [QUICK] * 1_000 == wire.written


async def test_one_turn_reads_few_slices_and_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """One event loop turn reads one slice of one-byte chunks, or some slices of a plain body."""
    read: list[int] = []
    usual = FastPathProtocol.read

    def reading(self: FastPathProtocol, data: bytes) -> None:
        read.append(len(data))
        usual(self, data)

    monkeypatch.setattr(FastPathProtocol, "read", reading)
    found = []
    for content in (b"1\r\na\r\n" * 90_000, b"ffffff\r\n" + b"a" * 500_000):
        protocol, _ = connected(App())
        protocol.data_received(CHUNKED)
        read.clear()
        protocol.data_received(content)
        found.append(len(read))
        protocol.connection_lost(None)
        await settled(protocol)
    assert [1, connection_limits.SLICES_A_TURN] == found


async def test_a_body_in_many_chunks_is_put_together() -> None:
    """The application gets the whole body, even if each chunk has one byte."""
    bodies: list[bytes] = []

    async def keeping(scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message["more_body"]
        bodies.append(body)
        await HttpResponse(200, b"{}")(scope, receive, send)

    app = App()
    protocol, _ = connected(app)
    protocol.app = keeping
    head = POST.partition(b"Content-Length")[0] + b"Transfer-Encoding: chunked\r\n\r\n"
    protocol.data_received(head + b"1\r\na\r\n" * 40_000 + b"0\r\n\r\n")
    await settled(protocol)
    assert [b"a" * 40_000] == bodies


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("begun", [b"", b"GET /jobs HTTP/1.1\r\nHos", POST[:-2]])
async def test_an_incomplete_request_times_out(begun: bytes) -> None:
    """The server closes a connection that sends nothing, half a head or half a body."""
    protocol, wire = connected(App())
    if begun:
        protocol.data_received(begun)
    await asyncio.wait_for(wire.closed.wait(), 300)
    await settled(protocol)
    assert [TOO_SLOW] * bool(begun) == [answer[: len(TOO_SLOW)] for answer in wire.written]


@pytest.mark.usefixtures("soon")
async def test_a_dripping_head_times_out() -> None:
    """A head that arrives byte by byte times out as early as an incomplete head."""
    protocol, wire = connected(App())
    protocol.data_received(b"GET /")
    while not wire.is_closing():
        protocol.data_received(b"x")
        await asyncio.sleep(0.0005)
    assert TOO_SLOW == wire.written[0][: len(TOO_SLOW)]


@pytest.mark.usefixtures("by_hand")
async def test_a_body_that_arrives_steadily_may_take_long() -> None:
    """A body may take long if enough bytes arrive between two checks."""
    app = App()
    protocol, wire = connected(app)
    piece = b"x" * connection_limits.SLOWEST_BODY
    protocol.data_received(POST.replace(b": 4", b": %d" % (40 * len(piece)))[:-4])
    for _ in range(40):
        protocol._look_at_it()
        protocol.data_received(piece)
        await asyncio.sleep(0)
    await settled(protocol)
    assert USUAL == b"".join(wire.written)


CHUNKED = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n"


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize(
    ("begun", "more"),
    [
        (b"GET / HTTP/1.1\r\nX: ", b"x"),
        (POST.replace(b": 4", b": 9999"), b"x"),
        (CHUNKED, b"0"),
        (CHUNKED + b"1;", b"x"),
        (CHUNKED, b"1\r\nx\r\n"),
        (CHUNKED + b"0\r\nX: ", b"x"),
        (CHUNKED + b"0\r\n", b"X: 1\r\n"),
    ],
)
async def test_a_too_slow_request_times_out(begun: bytes, more: bytes) -> None:
    """A request times out if too few bytes arrive between two checks.

    This applies to heads, bodies, chunk sizes, extensions and trailers.
    """
    protocol, wire = connected(App())
    protocol.data_received(begun)
    for _ in range(3):
        protocol._look_at_it()
        protocol.data_received(more)
        await asyncio.sleep(0)
    await settled(protocol)
    assert [TOO_SLOW] == [answer[: len(TOO_SLOW)] for answer in wire.written]


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize("dripped", [b"%x\r\n%b\r\n", b"1;%.0d%b\r\nx\r\n"])
async def test_a_request_has_a_maximum_duration(dripped: bytes) -> None:
    """A request that is never too slow but never complete is refused after some checks."""
    protocol, wire = connected(App())
    protocol.data_received(CHUNKED)
    piece = dripped % (connection_limits.SLOWEST_BODY, b"x" * connection_limits.SLOWEST_BODY)
    for look in range(connection_limits.MAX_LOOKS + 3):
        assert wire.written == [] or look > connection_limits.MAX_LOOKS
        protocol._look_at_it()
        protocol.data_received(piece)
        await asyncio.sleep(0)
    await settled(protocol)
    assert [TOO_SLOW] == [answer[: len(TOO_SLOW)] for answer in wire.written]


@pytest.mark.usefixtures("by_hand")
async def test_a_dripping_body_after_its_response_gets_no_second_response() -> None:
    """If the body still drips after the response, the connection closes without another one."""

    async def hasty(scope: Scope, receive: Receive, send: Send) -> None:
        await HttpResponse(200, b"{}")(scope, receive, send)

    protocol, wire = connected(App())
    protocol.app = hasty
    protocol.data_received(POST[:-2])
    await settled(protocol)
    protocol._look_at_it()
    protocol._look_at_it()
    assert (True, 1) == (wire.is_closing(), b"".join(wire.written).count(b"HTTP/1.1"))


@pytest.mark.usefixtures("soon")
async def test_a_complete_request_may_wait_without_limit() -> None:
    """A client that sent a complete request may wait for the response without a time-out."""
    app, go_on = App(), asyncio.Event()

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await go_on.wait()
        await HttpResponse(200, b"{}")(scope, receive, send)

    app.answer = lambda: late
    protocol, wire = connected(app)
    protocol.data_received(POST)
    for _ in range(5):
        protocol._look_at_it()
    assert not wire.is_closing()
    go_on.set()
    await settled(protocol)
    assert b"HTTP/1.1 200 OK\r\n" == wire.written[0][:17]


@pytest.mark.usefixtures("soon")
async def test_a_client_that_waits_for_100_continue_does_not_time_out() -> None:
    """A client that waits for `100 Continue` does not time out for its missing body."""
    app, go_on = App(), asyncio.Event()

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await go_on.wait()
        await app(scope, receive, send)

    protocol, wire = connected(app)
    protocol.app = late
    protocol.data_received(POST[:-4].replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"))
    for _ in range(5):
        protocol._look_at_it()
    go_on.set()
    await asyncio.sleep(0)
    protocol.data_received(b"body")
    await settled(protocol)
    assert b"HTTP/1.1 100 Continue\r\n\r\n" + USUAL == b"".join(wire.written)


@pytest.mark.usefixtures("soon")
async def test_no_refusal_is_written_into_another_response() -> None:
    """During a response, a too long head closes the connection without an error response."""
    app = App()

    async def streaming(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            pass

    app.answer = lambda: streaming
    protocol, wire = connected(app)
    protocol.data_received(GET)
    await asyncio.sleep(0)
    protocol.data_received(b"GET /" + b"x" * 2 * MAX_HEAD)
    assert (True, 1) == (wire.is_closing(), len(wire.written))
    protocol.connection_lost(None)
    await settled(protocol)


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize(
    ("left", "cut"),
    [
        ([9_000] * 7, True),
        ([100_000] * 7, True),
        ([100_000] * 6, False),  # a minute is not over
        ([100_000] * 5 + [99_999] * 6, False),  # a little was taken
        ([100_000, -100_000] * 5, False),  # everything was taken, and as much written again
        ([9_000, 9_100] * 5, False),  # events are written, and some of them taken
        ([0] * 9, False),
    ],
)
async def test_a_client_that_reads_nothing_is_disconnected(
    left: list[int], *, cut: bool, closes: bool
) -> None:
    """If the client does not read the response, the server aborts the connection."""
    protocol, wire = connected(App())
    protocol.data_received(GET)
    if closes:
        wire.close()
    for size in left:
        if size < 0:
            protocol.pause_writing()
            protocol.resume_writing()
        wire.untaken, look = abs(size), protocol._look
        protocol._look_at_it()
        looks_again = not wire.aborted and (size != 0 or not closes)
        assert looks_again == (protocol._look is not look)
    assert cut == wire.aborted
    protocol.connection_lost(None)


async def test_a_slow_reader_is_recognised() -> None:
    """The number of unsent bytes falls at once when a slow client reads some of them."""
    ours, theirs = socket.socketpair()
    connecting = asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    transport, _ = await connecting
    with theirs:
        transport.write(bytes(10_000_000))
        first = unsent_bytes(transport), transport.get_write_buffer_size()
        theirs.recv(200_000)
        second = unsent_bytes(transport), transport.get_write_buffer_size()
        transport.abort()
        await asyncio.sleep(0)
    assert first[1] == second[1] > 0
    assert sys.platform != "linux" or first[0] > second[0] > second[1]


async def test_too_many_connections_are_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Above the limit, new connections are closed, with one log line.

    Open connections stay, and a closed one makes room for a new one.
    """
    monkeypatch.setattr(connection_limits, "most_connections", lambda: 2)
    caplog.set_level("WARNING", "uvicorn.error")
    state, shared = ServerState(), dict[str, object]()
    config = uvicorn.Config(App(), log_config=None)
    opened = []
    for _ in range(4):
        protocol = FastPathProtocol(config, state, shared, asyncio.get_running_loop())
        opened.append((protocol, Wire()))
        protocol.connection_made(opened[-1][1])
    assert [False, False, True, True] == [wire.is_closing() for _, wire in opened]
    assert 1 == len(caplog.records)
    for protocol, _ in opened[1:]:
        protocol.connection_lost(None)
    protocol, wire = FastPathProtocol(config, state, shared, asyncio.get_running_loop()), Wire()
    protocol.connection_made(wire)
    protocol.data_received(GET)
    assert [QUICK] == wire.written
