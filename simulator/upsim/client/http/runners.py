"""Run the client's logic: a flow yields effects, and a runner carries them out, sync or async."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, closing, contextmanager
from inspect import isawaitable
from pathlib import Path
from typing import IO, TypeVar

import httpx

from upsim.client import callbacks
from upsim.client.callbacks import SandboxSleep, Sleeper
from upsim.client.exceptions import ArgumentError
from upsim.client.http.connections import async_connections, sync_connections
from upsim.client.http.exchanges import Fetching, HttpExchange, Sending
from upsim.client.http.outgoing_requests import Wire
from upsim.client.io_effects import (
    BlockingCall,
    CheckSleeper,
    Effect,
    Fetch,
    Flow,
    LostResponse,
    Send,
    SentResponse,
    Sleep,
)

_Result = TypeVar("_Result")
_CHUNK = 1 << 20


class SyncRunner:
    """Runs flows over a sync httpx client."""

    def __init__(
        self, wire: Wire, http: httpx.Client | None, sleeper: Sleeper | SandboxSleep | None
    ) -> None:
        """Use the client `http`; create one if it is None."""
        self._wire = wire
        self._http = http or sync_connections()
        self._own = http is None
        self._sleeper = sleeper
        self._sleep = callbacks.wait_by(sleeper)
        self._closed = False

    def run(self, flow: Flow[_Result]) -> _Result:
        """Carry out a flow's effects, and return its result. Raises ArgumentError if closed."""
        _check_open(closed=self._closed)
        try:
            effect = next(flow)
            while True:
                try:
                    reply = self._carry_out(effect)
                except BaseException as error:  # noqa: BLE001 - the logic adds what it knows
                    effect = flow.throw(error)
                else:
                    effect = flow.send(reply)
        except StopIteration as stop:
            result: _Result = stop.value
            return result
        finally:
            flow.close()

    def close(self) -> None:
        """Close the connections that this runner has opened."""
        self._closed = True
        self._wire.close()
        callbacks.close(self._sleeper)
        if self._own:
            self._http.close()

    def _carry_out(self, effect: Effect) -> object:
        match effect:
            case Send():
                return self._exchange(Sending(self._wire, effect))
            case Sleep():
                return self._sleep(effect.seconds)
            case CheckSleeper():
                callbacks.check(self._sleeper)
                return None
            case BlockingCall():
                return effect.function()
            case Fetch():
                return self._exchange(Fetching(self._wire, effect))
        if self._wire.watch is not None:
            self._wire.watch(effect.progress)
        return None

    def _exchange(self, exchange: HttpExchange) -> SentResponse | LostResponse:
        patience = exchange.patience
        try:
            with patience.active(), _content(exchange.content) as content:
                request = self._http.build_request(
                    **exchange.arguments, content=content, extensions={"trace": patience.trace}
                )
                response = self._http.send(
                    request, auth=exchange.auth, stream=True, follow_redirects=False
                )
                with closing(response), exchange.body(response) as body:
                    for chunk in response.iter_raw() if body.raw else response.iter_bytes():
                        body.take(chunk)
        except exchange.failures as error:
            return exchange.lost(error)
        return exchange.result(response)


class AsyncRunner:
    """Runs flows over an async httpx client."""

    def __init__(
        self, wire: Wire, http: httpx.AsyncClient | None, sleeper: Sleeper | SandboxSleep | None
    ) -> None:
        """Use the client `http`; create one if it is None."""
        self._wire = wire
        self._http = http or async_connections()
        self._own = http is None
        self._sleeper = sleeper
        self._sleep = callbacks.wait_by_async(sleeper)
        self._closed = False

    async def run(self, flow: Flow[_Result]) -> _Result:
        """Carry out a flow's effects, and return its result. Raises ArgumentError if closed."""
        _check_open(closed=self._closed)
        try:
            effect = next(flow)
            while True:
                try:
                    reply = await self._carry_out(effect)
                except BaseException as error:  # noqa: BLE001 - the logic adds what it knows
                    effect = flow.throw(error)
                else:
                    effect = flow.send(reply)
        except StopIteration as stop:
            result: _Result = stop.value
            return result
        finally:
            flow.close()

    async def close(self) -> None:
        """Close the connections that this runner has opened."""
        self._closed = True
        self._wire.close()
        callbacks.close(self._sleeper)
        if self._own:
            await self._http.aclose()

    async def _carry_out(self, effect: Effect) -> object:
        match effect:
            case Send():
                return await self._exchange(Sending(self._wire, effect))
            case Sleep():
                return await self._sleep(effect.seconds)
            case CheckSleeper():
                await callbacks.check_async(self._sleeper)
                return None
            case BlockingCall():
                return await asyncio.to_thread(effect.function)
            case Fetch():
                return await self._exchange(Fetching(self._wire, effect))
        if self._wire.watch is not None:
            told = self._wire.watch(effect.progress)
            if isawaitable(told):
                await told
        return None

    async def _exchange(self, exchange: HttpExchange) -> SentResponse | LostResponse:
        patience = exchange.patience
        try:
            async with patience.active_async(), _content_async(exchange.content) as content:
                request = self._http.build_request(
                    **exchange.arguments,
                    content=content,
                    extensions={"trace": patience.trace_async},
                )
                response = await self._http.send(
                    request, auth=exchange.auth, stream=True, follow_redirects=False
                )
                async with aclosing(response):
                    with exchange.body(response) as body:
                        chunks = response.aiter_raw() if body.raw else response.aiter_bytes()
                        async for chunk in chunks:
                            body.take(chunk)
        except exchange.failures as error:
            return exchange.lost(error)
        return exchange.result(response)


def _check_open(*, closed: bool) -> None:
    if closed:
        raise ArgumentError(
            "this client is closed: make calls inside the `with` block, or connect again"
        )


@contextmanager
def _content(given: bytes | Path | None) -> Iterator[bytes | Iterator[bytes] | None]:
    """Yield a request's body, read from its file while it is sent."""
    if not isinstance(given, Path):
        yield given
        return
    with given.open("rb") as file:
        yield _read(file)


@asynccontextmanager
async def _content_async(
    given: bytes | Path | None,
) -> AsyncIterator[bytes | AsyncIterator[bytes] | None]:
    """Yield a request's body, read from its file while it is sent."""
    if not isinstance(given, Path):
        yield given
        return
    with await asyncio.to_thread(given.open, "rb") as file:
        yield _read_async(file)


def _read(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


async def _read_async(file: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, _CHUNK):
        yield chunk
