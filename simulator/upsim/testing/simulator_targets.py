"""The targets of sandboxes: the simulator in this process, or a server.

Code can use the simulator in this process by direct calls or through a socket.

The handles of a sandbox use every target in the same way: through httpx and `wire`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import anyio.from_thread
import anyio.to_thread
import httpx

from upsim.app import IN_PROCESS_HOST
from upsim.client.http.connections import SyncTransport
from upsim.testing.server_thread import ServerThread

__tracebackhide__ = True  # for pytest: a failing test shows its own line, not ours
PROXIED = "x-forwarded-proto"
Trace = Callable[[str, object], Coroutine[Any, Any, None]]


class SimulatorTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport that sends requests for any host to one simulator.

    The transport stays open when a client is closed.
    """

    def end(self) -> None:
        """Close all connections, because the target is no longer needed."""


class InProcessWire(SimulatorTransport):
    """A transport that sends requests to the simulator in this process."""

    def __init__(self, server: ServerThread) -> None:
        """Keep the simulator's thread."""
        self._server = server

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request of sync code."""
        return self._server.exchange(request, request.read())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request of async code."""
        return await self._server.aexchange(request, await request.aread())


class SocketWire(SimulatorTransport):
    """A transport that sends requests to a server and keeps their Host header.

    Async requests run in threads, so that connections stay open across tests. Each test has its
    own event loop.
    """

    def __init__(self, base_url: str) -> None:
        """Keep the base URL of the server."""
        self._base = httpx.URL(base_url)
        self._socket = SyncTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request of sync code."""
        return self._socket.handle_request(self._forwarded(request, request.read()))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request of async code."""
        forwarded = self._forwarded(request, await request.aread())
        if "trace" in forwarded.extensions:
            forwarded.extensions["trace"] = _awaited(forwarded.extensions["trace"])
        return await anyio.to_thread.run_sync(self._whole, forwarded)

    def end(self) -> None:
        """Close the connections."""
        self._socket.close()

    def _forwarded(self, request: httpx.Request, body: bytes) -> httpx.Request:
        headers = [
            (name, value)
            for name, value in request.headers.raw
            if name.lower() != b"transfer-encoding"
        ]
        if request.url.scheme != self._base.scheme and request.url.host != self._base.host:
            headers.append((PROXIED.encode(), request.url.scheme.encode()))
        url = self._base.copy_with(raw_path=request.url.raw_path)
        return httpx.Request(
            request.method, url, headers=headers, content=body, extensions=dict(request.extensions)
        )

    def _whole(self, request: httpx.Request) -> httpx.Response:
        answer = self._socket.handle_request(request)
        parts: list[bytes] = []
        cut: httpx.TransportError | None = None
        try:
            parts.extend(answer.iter_raw())
        except httpx.TransportError as error:
            cut = error
        finally:
            answer.close()
        stream = _Stream(b"".join(parts), cut)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)


def _awaited(trace: Trace) -> Callable[[str, object], None]:
    """Return a trace function that a worker thread can call for an async client."""

    def told_there(event: str, told: object) -> None:
        anyio.from_thread.run(trace, event, told)

    return told_there


@dataclass(frozen=True, slots=True)
class _Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that was already read, and the error that cut it off."""

    body: bytes
    cut: httpx.TransportError | None

    def __iter__(self) -> Iterator[bytes]:
        yield self.body
        if self.cut is not None:
            raise self.cut

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body
        if self.cut is not None:
            raise self.cut


@dataclass(frozen=True, slots=True)
class SimulatorTarget:
    """A simulator: its URL, the token of its admin API, and the transport to it."""

    base_url: str
    token: str
    wire: SimulatorTransport
    shared: bool = False
    """Whether others may create sandboxes there, so that the server must choose the ids."""

    @classmethod
    def in_process(cls, server: ServerThread) -> SimulatorTarget:
        """Return the simulator of this process as a target without a socket."""
        return cls(IN_PROCESS_HOST, server.token, InProcessWire(server))

    @classmethod
    def at(cls, base_url: str, token: str = "", *, shared: bool = False) -> SimulatorTarget:
        """Return a server as a target, in this process or elsewhere."""
        base = base_url.rstrip("/")
        return cls(base, token, SocketWire(base), shared)
