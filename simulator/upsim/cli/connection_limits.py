"""uvicorn's protocol with limits on the size and duration of what a connection sends.

Long input is read in slices. The event loop can do other work after some slices, pipelined
requests or chunks. A head that is too long is refused before it is stored. A connection is
closed in two cases:

- The first request, or the rest of a request, does not arrive or arrives too slowly.
- The client reads nothing of a response for a minute.

All limits are our own: no provider documents any.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from functools import cache
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from upsim.cli.unsent_bytes import unsent_bytes

MAX_HEAD = 64 * 1024
"""Bytes of a request line and its headers."""
SLICE = 8 * 1024
"""Bytes that the parser reads before the limits are checked."""
SLICES_A_TURN = 16
"""Slices that are read in one turn of the event loop."""
STEPS_A_TURN = 64
"""Requests and chunks that are read in one turn of the event loop, give or take a slice."""
MAX_PIPELINED = 32
"""Requests of a connection that wait for the response before them, give or take a slice."""
LOOK_SECONDS = 10.0
"""Seconds between two checks; a request head must be complete at the second check."""
SLOWEST_BODY = 1024
"""Bytes of a body that must arrive between two checks."""
MAX_LOOKS = 180
"""Checks that may find the same body still arriving: a request has half an hour."""
MAX_STILL = 6
"""Checks in a row without progress; the client's system reports received bytes late."""
LINGER_SECONDS = 1.0
"""Seconds after a refusal during which input is discarded, so that the client sees no reset."""

SPARED_FILES = 32
"""File descriptors reserved for uploads, outputs and scenarios."""
TELL_SECONDS = 60.0

LOGGER = logging.getLogger("uvicorn.error")
BETWEEN, HEAD, BODY = range(3)
"""What is being read: nothing, a head, or a body."""
TOO_LONG = f"The request line and headers may have at most {MAX_HEAD} bytes."
TOO_MANY = "%d connections are open, the maximum (see `ulimit -n`); new connections are closed"
REFUSED = "a request was refused with %d: %s"
TOO_SLOW = "The rest of the request did not arrive in time."

_TOLD_AT: WeakKeyDictionary[ServerState, float] = WeakKeyDictionary()
"""Time at which each server last reported that it has too many connections."""


@cache
def most_connections() -> int:
    """Return the highest number of connections that leaves enough file descriptors for files."""
    try:
        from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit  # not on every platform
    except ImportError:
        return sys.maxsize
    most = getrlimit(RLIMIT_NOFILE)[0]
    return sys.maxsize if most == RLIM_INFINITY else max(1, most - SPARED_FILES)


def report_too_many(loop: asyncio.AbstractEventLoop, state: ServerState) -> None:
    """Log that new connections are closed because too many are open; log this only sometimes."""
    now, told = loop.time(), _TOLD_AT.get(state)
    if told is None or now - told > TELL_SECONDS:
        _TOLD_AT[state] = now
        LOGGER.warning(TOO_MANY, most_connections())


class _Flow(FlowControl):
    """Flow control that stops reading while a long input is processed."""

    held = False
    resumed = 0
    """Number of times that the client had taken enough for writing to continue."""

    def resume_writing(self) -> None:
        """Note that the client received the written output."""
        self.resumed += 1
        super().resume_writing()

    def hold(self) -> None:
        """Stop reading from the transport."""
        self.held = True
        self._transport.pause_reading()

    def let_go(self) -> None:
        """Continue to read, unless the application asked for a pause."""
        self.held = False
        if not self.read_paused:
            self._transport.resume_reading()

    def resume_reading(self) -> None:
        """Continue to read, because the application needs more of the body."""
        if self.held:
            self.read_paused = False
        else:
            super().resume_reading()


class BoundedProtocol(HttpToolsProtocol):
    """Reads requests within the limits; `read` gets the input of one step.

    The parser's callbacks below record the progress in `_stage`, `_came` and `_steps`.
    """

    _stage = BETWEEN
    _came = 0
    """Bytes of the head, or of the body since the last check."""
    _beside = 0
    """Bytes since the last body content: chunk headers and trailers."""
    _steps = 0
    """Started requests and pieces of bodies since the last turn of the event loop."""
    _refused = False
    _looks = 0
    """Checks that found the same body still arriving."""
    _seen: tuple[object, int] | None = None
    _look: asyncio.TimerHandle | None = None
    _next: asyncio.Handle | None = None
    """The next turn in which input is read."""
    _untaken = (0, 0)
    """The unread bytes at the last check, and the number of continued writes."""
    _still = 0
    """Checks in a row that found the same unread bytes."""

    def connection_made(  # type: ignore[override]  # as uvicorn itself narrows it
        self, transport: asyncio.Transport
    ) -> None:
        """Start to check a new connection at intervals."""
        super().connection_made(transport)
        self.flow: _Flow = _Flow(transport)
        self._unread = bytearray()
        self._look = self.loop.call_later(LOOK_SECONDS, self._look_at_it)
        if len(self.connections) > most_connections():
            self._refused = True
            report_too_many(self.loop, self.server_state)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Discard unread input when the connection is lost."""
        if self._look is not None:
            self._look.cancel()
        self._unread.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a piece directly, or in slices if it is long."""
        if len(data) <= SLICE and not (self._unread or self._refused or self._has_enough()):
            self.read(data)
            if self._stage:
                self._count(len(data))
            return
        if self._refused:
            return
        waiting = bool(self._unread)
        self._unread += data
        if waiting:
            self.flow.hold()
        else:
            self._read_on()

    def on_response_complete(self) -> None:
        """Continue to read if reading had stopped because too many requests were waiting."""
        super().on_response_complete()
        if self.flow.held and self._next is None and not self._has_enough():
            self._next = self.loop.call_soon(self._read_on)

    def read(self, data: bytes) -> None:
        """Read the input of one step."""
        raise NotImplementedError

    # -- inside

    def _read_on(self) -> None:
        """Read slices until this turn's work is done, no slice is left, or too many requests wait.

        Reading continues when a response ends.
        """
        self._steps, self._next = 0, None
        unread = self._unread
        for _ in range(SLICES_A_TURN):
            if not unread or self._steps >= STEPS_A_TURN or self._is_over() or self._has_enough():
                break
            piece = bytes(unread[:SLICE])
            del unread[:SLICE]
            self.read(piece)
            if self._stage:
                self._count(len(piece))
        if self._is_over():
            unread.clear()
        elif self._has_enough():
            self.flow.hold()
        elif unread:
            self.flow.hold()
            self._next = self.loop.call_soon(self._read_on)
        elif self.flow.held:
            self.flow.let_go()

    def _has_enough(self) -> bool:
        """Whether MAX_PIPELINED requests are waiting, so that no further request is read."""
        return len(self.pipeline) >= MAX_PIPELINED

    def _is_over(self) -> bool:
        """Whether further input of this connection is ignored."""
        return self._refused or self.transport.is_closing()

    def _count(self, size: int) -> None:
        """Count the bytes of an incomplete head or body."""
        self._came += size
        self._beside += size
        if self._beside > MAX_HEAD + SLICE or (self._stage == HEAD and self._came > MAX_HEAD):
            self._refuse(431, TOO_LONG)

    def _refuse(self, status: int, message: str) -> None:
        """Send a refusal, and close the connection after the client had time to read it."""
        if self._is_answering():
            self.transport.close()
            return
        self._refused = True
        self.logger.warning(REFUSED, status, message)
        self.transport.write(
            b"%bcontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%b"
            % (STATUS_LINE[status], len(message), message.encode("ascii"))
        )
        if self.flow.held:
            self.flow.let_go()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _is_answering(self) -> bool:
        """Whether a refusal sent now would mix with, replace, or follow another response."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None:
            return False
        if cycle.response_complete:
            return self._stage == BODY and cycle.scope is self.scope
        return self._stage == HEAD or bool(self.pipeline) or cycle.response_started

    def _look_at_it(self) -> None:
        """Close the connection if expected input is missing or the client reads no output."""
        if self._is_stuck():
            self.transport.abort()  # a close waits until everything is taken
            return
        if not self._is_over():
            self._look_at_request()
        if not self._is_over() or self.transport.get_write_buffer_size():
            self._look = self.loop.call_later(LOOK_SECONDS, self._look_at_it)

    def _is_stuck(self) -> bool:
        """Whether output is waiting, but the client read none of it during several checks.

        While writing is paused, the server adds no output. So any reading by the client reduces the
        waiting output.
        """
        before = self._untaken
        self._untaken = left, _ = (unsent_bytes(self.transport), self.flow.resumed)
        self._still = self._still + 1 if left and self._untaken == before else 0
        return self._still >= MAX_STILL

    def _look_at_request(self) -> None:
        """Close the connection if its first request, or the rest of a request, does not arrive."""
        scope: object = self.scope
        seen, self._seen = self._seen, (scope, self._stage)
        same = seen is not None and seen[0] is scope and seen[1] == self._stage
        if same and scope is None:
            self.transport.close()
        elif same and self._stage == HEAD:
            self._refuse(408, TOO_SLOW)
        elif same and self._stage == BODY and self._is_awaited() and self._is_slow():
            self._give_up()
        else:
            if self._stage == BODY:
                self._came = 0
            if not same:
                self._looks = 0

    def _is_slow(self) -> bool:
        """Count a check of a body; return whether the body arrives too slowly."""
        self._looks += 1
        return self._came < SLOWEST_BODY or self._looks > MAX_LOOKS

    def _is_awaited(self) -> bool:
        """Whether the server waits only for the client to send more of the body."""
        cycle = self._present()
        waits = cycle is not None and cycle.waiting_for_100_continue
        return not waits and not self.flow.read_paused

    def _present(self) -> RequestResponseCycle | None:
        """Return the last request that a task handles, unless its response is complete."""
        cycle: RequestResponseCycle | None = self.cycle
        return None if cycle is None or cycle.response_complete else cycle

    def _give_up(self) -> None:
        """Refuse a request whose body does not arrive; the application gets a disconnect event."""
        self._refuse(408, TOO_SLOW)
        cycle = self._present()
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
