"""Limit the total duration of a response, even if its bytes arrive slowly.

httpx limits only the time between two bytes. A server that sends a byte now and then
could block a client forever, so this module limits the total time:

* for a small response, from the end of the request to the end of the response;
* for a file, from the start of the request to the end of the file.

In async code a time-out of the event loop ends the wait. In sync code the client's own
connections (`connections`) shorten each read to the time that is left.
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
"""End of httpcore's event name, for HTTP/1.1 and HTTP/2, once a request is sent."""


class TotalTimeout:
    """The time that is left for one exchange; unlimited until the request is sent."""

    def __init__(self, answer: float) -> None:
        """Limit a response's headers and small body to `answer` seconds together."""
        self._answer = answer
        self._began = clocks.stopwatch()
        self._most = self._ends = math.inf
        self._what = ""
        self._alarm: asyncio.Timeout | None = None

    def with_answer(self) -> None:
        """Start the time limit of the response, unless it has started."""
        if not self._what:
            self._wait("response", self._answer, until=clocks.stopwatch() + self._answer)

    def with_file(self, seconds: float) -> None:
        """Limit the download of a file to `seconds` after the exchange began."""
        self._wait("file", seconds, until=self._began + seconds)

    def shorten(self, timeout: float | None) -> float | None:
        """Return a time-out within the limit. Raises ReadTimeout once the limit is reached."""
        self.check()
        if self._ends == math.inf:
            return timeout
        left = self._ends - clocks.stopwatch()
        return max(left, 0.001) if timeout is None else min(timeout, max(left, 0.001))

    def check(self) -> None:
        """Raise ReadTimeout after the limit."""
        if clocks.stopwatch() >= self._ends:
            raise self._over()

    def trace(self, event: str, _told: object) -> None:
        """Handle httpcore's trace event of a sync request."""
        if event.endswith(_BEGINS):
            self.with_answer()

    async def trace_async(self, event: str, told: object) -> None:
        """Handle httpcore's trace event of an async request."""
        self.trace(event, told)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Apply the limit to the client's own sync connections."""
        token = _KEPT.set(self)
        try:
            yield
        finally:
            _KEPT.reset(token)

    @asynccontextmanager
    async def active_async(self) -> AsyncIterator[None]:
        """Apply the limit to an async client. Raises ReadTimeout."""
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
    """Return the time limit of the exchange that the current thread runs."""
    return _KEPT.get()
