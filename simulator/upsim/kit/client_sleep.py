"""Control client code while it runs: sleeping advances the clock, and endless loops are ended."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from upsim.testing.simulator_targets import SimulatorTransport

Sleep = Callable[[float], None]


class RunawayError(BaseException):
    """Client code that polls or waits endlessly. `except Exception` does not catch it."""


class CountingWire(SimulatorTransport):
    """Sends requests over another transport, up to a maximum number.

    `on_request` is called for each request.
    """

    def __init__(
        self, inner: SimulatorTransport, most: int, on_request: Callable[[], None]
    ) -> None:
        """Start with no requests."""
        self._inner = inner
        self._most = most
        self._on_request = on_request
        self.count = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request of sync code. Raises RunawayError."""
        self._enter(request)
        answer = self._inner.handle_request(request)
        self._leave(request)
        return answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request of async code. Raises RunawayError."""
        self._enter(request)
        answer = await self._inner.handle_async_request(request)
        self._leave(request)
        return answer

    def _enter(self, request: httpx.Request) -> None:
        if not _of_admin(request):
            self.count += 1
            if self.count > self._most:
                raise RunawayError(f"it has sent {self._most} requests and continues")

    def _leave(self, request: httpx.Request) -> None:
        if not _of_admin(request):
            self._on_request()


def _of_admin(request: httpx.Request) -> bool:
    return request.url.path.startswith("/__sim/")


@contextmanager
def replace_sleep(sleep: Sleep) -> Iterator[None]:
    """Replace `time.sleep` and `asyncio.sleep` in this thread with `sleep`."""
    mine = threading.get_ident()
    real, real_async = time.sleep, asyncio.sleep

    def fake(seconds: float) -> None:
        if threading.get_ident() == mine:
            sleep(seconds)
        else:
            real(seconds)

    async def fake_async(delay: float, result: Any = None) -> Any:  # noqa: ANN401 - as asyncio's
        if threading.get_ident() != mine or not delay:
            return await real_async(delay, result)
        sleep(delay)
        return await real_async(0, result)

    time.sleep, asyncio.sleep = fake, fake_async  # type: ignore[assignment]
    try:
        yield
    finally:
        time.sleep, asyncio.sleep = real, real_async
