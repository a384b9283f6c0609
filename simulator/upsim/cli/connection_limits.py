"""uvicorn's protocol with bounds on what one connection may send, and how slowly.

A long piece is read in slices, and the event loop has its turn after some slices, requests of a
pipeline or chunks of a body. A head that is too long is refused before it was kept. A connection is
closed when a first request, or the rest of one, does not come or comes too slowly, and when its
caller takes nothing of an answer for a minute. All bounds are our own: no provider names any.
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

from upsim.cli.write_buffer import unsent_bytes

MAX_HEAD = 64 * 1024
"""Bytes of a request line and its headers."""
SLICE = 8 * 1024
"""Bytes that the parser reads before the bounds are looked at."""
SLICES_A_TURN = 16
"""Slices that are read in one turn of the event loop."""
STEPS_A_TURN = 64
"""Requests and chunks that are read in one turn of the event loop, give or take a slice."""
LOOK_SECONDS = 10.0
"""A head, and the beginning of a first request, must be there at the second of two looks."""
SLOWEST_BODY = 1024
"""Bytes of a body that must come from one look to the next."""
MAX_LOOKS = 180
"""Looks that find the same body still coming: a request must be whole after half an hour."""
MAX_STILL = 6
"""Looks in a row at which nothing more was taken; a reader's own system tells late of it."""
LINGER_SECONDS = 1.0
"""What comes after a refusal is read and dropped, or the caller would see a reset instead."""

SPARED_FILES = 32
"""Files that are left for uploads, outputs and scenarios when connections have all others."""
TELL_SECONDS = 60.0

LOGGER = logging.getLogger("uvicorn.error")
BETWEEN, HEAD, BODY = range(3)
"""What is being read: nothing, a head, or a body."""
TOO_LONG = f"The head of a request may have {MAX_HEAD} bytes."
TOO_MANY = "%d connections are open, as many as may be (see `ulimit -n`); further ones are closed"
REFUSED = "a request was refused with %d: %s"
TOO_SLOW = "The rest of the request did not come in time."

_TOLD_AT: WeakKeyDictionary[ServerState, float] = WeakKeyDictionary()
"""When each server last said that it has too many connections."""


@cache
def most_connections() -> int:
    """How many connections there may be, so that files can still be opened."""
    try:
        from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit  # not on every platform
    except ImportError:
        return sys.maxsize
    most = getrlimit(RLIMIT_NOFILE)[0]
    return sys.maxsize if most == RLIM_INFINITY else max(1, most - SPARED_FILES)


def report_too_many(loop: asyncio.AbstractEventLoop, state: ServerState) -> None:
    """Say that connections are closed because there are too many, but not for each of them."""
    now, told = loop.time(), _TOLD_AT.get(state)
    if told is None or now - told > TELL_SECONDS:
        _TOLD_AT[state] = now
        LOGGER.warning(TOO_MANY, most_connections())


class _Flow(FlowControl):
    """Flow control that does not read on while a long piece is being worked off."""

    held = False
    resumed = 0
    """How often the caller had taken so much that more could be written."""

    def resume_writing(self) -> None:
        """The caller took what was written."""
        self.resumed += 1
        super().resume_writing()

    def hold(self) -> None:
        """Take nothing more from the transport."""
        self.held = True
        self._transport.pause_reading()

    def let_go(self) -> None:
        """Read on, unless the application wants to wait."""
        self.held = False
        if not self.read_paused:
            self._transport.resume_reading()

    def resume_reading(self) -> None:
        """The application wants more of the body."""
        if self.held:
            self.read_paused = False
        else:
            super().resume_reading()


class BoundedProtocol(HttpToolsProtocol):
    """Reads requests within the bounds; `read` is given what fits one of the steps.

    The parser's callbacks, below, say what is being read: `_stage`, `_came` and `_steps`.
    """

    _stage = BETWEEN
    _came = 0
    """Bytes of the head, or of the body since the last look."""
    _beside = 0
    """Bytes since the last content of a body: heads of chunks, and trailers."""
    _steps = 0
    """Requests that began, and pieces of bodies, since the last turn of the event loop."""
    _refused = False
    _looks = 0
    """Looks that found the same body still coming."""
    _seen: tuple[object, int] | None = None
    _look: asyncio.TimerHandle | None = None
    _untaken = (0, 0)
    """What was written and not taken at the last look, and how often writing had gone on."""
    _still = 0
    """Looks in a row that found the same untaken."""

    def connection_made(  # type: ignore[override]  # as uvicorn itself narrows it
        self, transport: asyncio.Transport
    ) -> None:
        """Take up a connection, and begin to look at it from time to time."""
        super().connection_made(transport)
        self.flow: _Flow = _Flow(transport)
        self._unread = bytearray()
        self._look = self.loop.call_later(LOOK_SECONDS, self._look_at_it)
        if len(self.connections) > most_connections():
            self._refused = True
            report_too_many(self.loop, self.server_state)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, with what was not read of it."""
        if self._look is not None:
            self._look.cancel()
        self._unread.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a piece: at once, or in slices where it is long."""
        if len(data) <= SLICE and not self._unread and not self._refused:
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

    def read(self, data: bytes) -> None:
        """Read so much as fits one step."""
        raise NotImplementedError

    # -- inside

    def _read_on(self) -> None:
        """Read slices until the work of one turn is done, or nothing is left."""
        self._steps = 0
        unread = self._unread
        for _ in range(SLICES_A_TURN):
            if not unread or self._steps >= STEPS_A_TURN or self._is_over():
                break
            piece = bytes(unread[:SLICE])
            del unread[:SLICE]
            self.read(piece)
            if self._stage:
                self._count(len(piece))
        if self._is_over():
            unread.clear()
        elif unread:
            self.flow.hold()
            self.loop.call_soon(self._read_on)
        elif self.flow.held:
            self.flow.let_go()

    def _is_over(self) -> bool:
        """Whether nothing that still comes is answered."""
        return self._refused or self.transport.is_closing()

    def _count(self, size: int) -> None:
        """Note that so much came of a head or a body that is not whole."""
        self._came += size
        self._beside += size
        if self._beside > MAX_HEAD + SLICE or (self._stage == HEAD and self._came > MAX_HEAD):
            self._refuse(431, TOO_LONG)

    def _refuse(self, status: int, message: str) -> None:
        """Answer with a refusal, and close once the caller had time to read it."""
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
        """Whether a refusal would stand in another answer, in its place, or after its own."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None:
            return False
        if cycle.response_complete:
            return self._stage == BODY and cycle.scope is self.scope
        return self._stage == HEAD or bool(self.pipeline) or cycle.response_started

    def _look_at_it(self) -> None:
        """Close the connection where nothing comes that should, or nothing is taken."""
        if self._is_stuck():
            self.transport.abort()  # a close waits until everything is taken
            return
        if not self._is_over():
            self._look_at_request()
        if not self._is_over() or self.transport.get_write_buffer_size():
            self._look = self.loop.call_later(LOOK_SECONDS, self._look_at_it)

    def _is_stuck(self) -> bool:
        """Whether the caller has taken nothing for some looks, though there is something to take.

        Nothing is written while writing is paused, so that less is left as soon as some is taken.
        """
        before = self._untaken
        self._untaken = left, _ = (unsent_bytes(self.transport), self.flow.resumed)
        self._still = self._still + 1 if left and self._untaken == before else 0
        return self._still >= MAX_STILL

    def _look_at_request(self) -> None:
        """Give up the connection where the rest of a request, or a first one, does not come."""
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
        """Count a look at a body; return whether too little came since the last one, or ever."""
        self._looks += 1
        return self._came < SLOWEST_BODY or self._looks > MAX_LOOKS

    def _is_awaited(self) -> bool:
        """Whether it is the caller's turn: nothing keeps the body from being read."""
        cycle = self._present()
        waits = cycle is not None and cycle.waiting_for_100_continue
        return not waits and not self.flow.read_paused

    def _present(self) -> RequestResponseCycle | None:
        """The last request that is not answered at once, unless its answer is complete."""
        cycle: RequestResponseCycle | None = self.cycle
        return None if cycle is None or cycle.response_complete else cycle

    def _give_up(self) -> None:
        """Refuse a request whose body does not come; the application hears that it ended."""
        self._refuse(408, TOO_SLOW)
        cycle = self._present()
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
