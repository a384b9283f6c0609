"""aiohttp: its connectors get in-memory connections to the sandbox.

Sessions, redirects, time-outs and errors are aiohttp's own code, which is not replaced.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler

from upsim.interception.active_interceptions import interception_of
from upsim.interception.memory_connection import ConnectionEnd, ServerSide, ending, head_of

Change = tuple[object, str, object]
CHUNK = 65_536


def changes() -> Iterator[Change]:
    """Yield the attributes of aiohttp to replace."""
    connector = aiohttp.TCPConnector
    yield connector, "_create_connection", _leading(connector._create_connection)  # noqa: SLF001 - there is no public place


def _leading(original: Callable[..., Any]) -> Callable[..., Any]:
    async def create_connection(
        self: aiohttp.TCPConnector,
        req: aiohttp.ClientRequest,
        traces: object,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - as aiohttp has it
    ) -> ResponseHandler:
        if interception_of(req.url.host or "") is None:
            found: ResponseHandler = await original(self, req, traces, timeout)
            return found
        protocol = ResponseHandler(asyncio.get_running_loop())
        patience = timeout.sock_read or timeout.total
        protocol.connection_made(
            _Transport(protocol, scheme=req.url.scheme, host=req.url.host or "", read=patience)
        )
        return protocol

    return create_connection


class _Transport(asyncio.Transport):
    """Receives the bytes that aiohttp writes, and returns the response."""

    def __init__(
        self, protocol: ResponseHandler, *, scheme: str, host: str, read: float | None
    ) -> None:
        super().__init__()
        self._protocol = protocol
        self._far_end = ServerSide(scheme)
        self._host = host
        self._read = read
        self._task: asyncio.Task[None] | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._over = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._over:
            return
        request, go_on = self._far_end.feed(bytes(data))
        if go_on:
            asyncio.get_running_loop().call_soon(self._protocol.data_received, go_on)
        if request is not None:
            self._task = asyncio.get_running_loop().create_task(self._answer(request))

    def is_closing(self) -> bool:
        return self._over

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        self._end(None)

    def pause_reading(self) -> None:
        self._flowing.clear()

    def resume_reading(self) -> None:
        self._flowing.set()

    async def _answer(self, request: httpx.Request) -> None:
        try:
            end = await self._send(request)
        except httpx.TransportError as error:
            end = ending(error)
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
            self._protocol.set_exception(error)
            end = ConnectionEnd.CLOSED
        if end is ConnectionEnd.SILENT:
            text = "Timeout on reading data from socket"
            self._protocol.set_exception(aiohttp.SocketTimeoutError(text))
        reset = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        self._end(reset if end is ConnectionEnd.RESET else None)

    async def _send(self, request: httpx.Request) -> ConnectionEnd:
        found = interception_of(self._host)
        if found is None:  # the block ended in between
            return ConnectionEnd.CLOSED
        request.extensions["timeout"] = {"read": self._read}
        response = await found.ahandle(request)
        self._protocol.data_received(head_of(response))
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError(f"an unsupported response stream: {type(response.stream).__name__}")
        async for part in response.stream:
            for at in range(0, len(part), CHUNK):
                await self._flowing.wait()
                if self._over:
                    return ConnectionEnd.CLOSED
                self._protocol.data_received(part[at : at + CHUNK])
        return ConnectionEnd.CLOSED

    def _end(self, error: Exception | None) -> None:
        if self._over:
            return
        self._over = True
        self._flowing.set()
        task = self._task
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        asyncio.get_running_loop().call_soon(self._protocol.connection_lost, error)
