"""How long an answer may take in all, however often a byte of it comes.

httpx bounds the silence between two bytes, so that a server that sends one now and then would keep
a client for ever. Here the whole is bounded: from when the request is out until the head and a
small body are in, and a file with its request. Async, an alarm of the event loop ends the wait;
sync, the client's own connections (`connections`) cut each read short by what is left.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

import httpx

from upsim.client import clocks

_BEGINS = ".receive_response_headers.started"
"""The end of httpcore's word, for HTTP/1.1 and HTTP/2, when a request is out."""


class TotalTimeout:
    """What one exchange may still take; without end until the request is out."""

    def __init__(self, answer: float) -> None:
        """An answer's head and small body have so many seconds together."""
        self._answer = answer
        self._began = clocks.stopwatch()
        self._most = self._ends = math.inf
        self._what = ""
        self._alarm: asyncio.Timeout | None = None

    def with_answer(self) -> None:
        """Begin to wait for the answer, if that has not begun."""
        if not self._what:
            self._wait("answer", self._answer, until=clocks.stopwatch() + self._answer)

    def with_file(self, seconds: float) -> None:
        """Wait for a file, whose head is in, until so many seconds after the exchange began."""
        self._wait("file", seconds, until=self._began + seconds)

    def shorten(self, timeout: float | None) -> float | None:
        """A time-out that ends no later than this. Raises ReadTimeout when it is over."""
        self.check()
        if self._ends == math.inf:
            return timeout
        left = self._ends - clocks.stopwatch()
        return max(left, 0.001) if timeout is None else min(timeout, max(left, 0.001))

    def check(self) -> None:
        """Raise ReadTimeout when it is over."""
        if clocks.stopwatch() >= self._ends:
            raise self._over()

    def trace(self, event: str, _told: object) -> None:
        """What httpcore is to call at each step of a sync request."""
        if event.endswith(_BEGINS):
            self.with_answer()

    async def trace_async(self, event: str, told: object) -> None:
        """What httpcore is to await at each step of an async request."""
        self.trace(event, told)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let the client's own sync connections keep to this."""
        token = _KEPT.set(self)
        try:
            yield
        finally:
            _KEPT.reset(token)

    @asynccontextmanager
    async def active_async(self) -> AsyncIterator[None]:
        """Wake an async client when it is over. Raises ReadTimeout."""
        try:
            async with asyncio.timeout(None) as self._alarm:
                yield
        except TimeoutError:
            if self._alarm is None or not self._alarm.expired():
                raise
        else:
            return
        raise self._over()

    def _wait(self, what: str, seconds: float, *, until: float) -> None:
        self._what, self._most, self._ends = what, seconds, until
        if self._alarm is not None:
            clocks.ring(self._alarm, until - clocks.stopwatch())

    def _over(self) -> httpx.ReadTimeout:
        return httpx.ReadTimeout(f"the {self._what} has not ended within {self._most:.3g} s")


_KEPT: ContextVar[TotalTimeout | None] = ContextVar("kept", default=None)


def active_timeout() -> TotalTimeout | None:
    """The patience of the exchange that this thread is in."""
    return _KEPT.get()
