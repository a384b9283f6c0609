"""httpx transports that call the application in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any

import httpx
from starlette.types import ASGIApp, Message, Scope

from upsim.web.connection_cutting import EXTENSION

__tracebackhide__ = True  # for pytest: a failing test shows its own line, not ours
Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]


class Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport for `httpx.Client(transport=…)` and `httpx.AsyncClient(transport=…)`."""

    def __init__(self, app: ASGIApp, run: Run) -> None:
        """Keep `app`; `run` runs a coroutine to its end for the sync client."""
        self._app = app
        self._run = run

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Handle one request of a sync client."""
        exchange = AsgiExchange(request, request.read())
        self._run(lambda: exchange.run(self._app))
        return exchange.response()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Handle one request of an async client."""
        exchange = AsgiExchange(request, await request.aread())
        await exchange.run(self._app)
        return exchange.response()


class AsgiExchange:
    """One request and the messages of its response.

    `run` may be called in the event loop of another thread, `response` in the client's thread.
    """

    def __init__(self, request: httpx.Request, body: bytes) -> None:
        """Keep a request whose body has been read."""
        self._request = request
        self._body = body
        self._sent = False
        self._over = asyncio.Event()
        self._status = 500
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._started = False
        self._error: httpx.TransportError | None = None

    async def run(self, app: Callable[..., Awaitable[None]]) -> None:
        """Run the application."""
        await app(self._scope(), self._receive, self._send)

    def leave(self) -> None:
        """Notify the application, in the loop that runs it, that the client no longer waits."""
        self._over.set()

    def response(self) -> httpx.Response:
        """Return the response.

        Raises the connection error if the connection was cut before the head of the response.
        """
        if self._error is not None and not self._started:
            raise self._error
        body = b"".join(self._parts)
        stream = httpx.ByteStream(body) if self._error is None else _CutStream(body, self._error)
        return httpx.Response(
            self._status, headers=self._headers, stream=stream, request=self._request
        )

    # -- the connection, as faults see it

    def drop(self) -> None:
        """Close the connection; the remaining part of the response is missing."""
        text = "peer closed connection without sending complete message body"
        if not self._started:
            text = "Server disconnected without sending a response."
        self._end(httpx.RemoteProtocolError(text, request=self._request))

    def reset(self) -> None:
        """Reset the connection."""
        text = "[Errno 104] Connection reset by peer"
        self._end(httpx.ReadError(text, request=self._request))

    def waited(self, seconds: float) -> None:
        """Raise a time-out error if the client's own read time-out is shorter than `seconds`."""
        patience = self._request.extensions.get("timeout", {}).get("read")
        if patience is not None and seconds > patience:
            self._end(httpx.ReadTimeout("timed out", request=self._request))

    def _end(self, error: httpx.TransportError) -> None:
        self._error = self._error or error
        self._over.set()

    def _scope(self) -> Scope:
        url = self._request.url
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self._request.method,
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.partition(b"?")[0],
            "query_string": url.query,
            "root_path": "",
            "headers": [(k.lower(), v) for k, v in self._request.headers.raw],
            "server": (url.host, url.port or 80),
            "client": ("127.0.0.1", 1),
            "state": {},
            "extensions": {EXTENSION: self},
        }

    async def _receive(self) -> Message:
        if self._sent:
            await self._over.wait()  # the client stays connected until it has its response
            return {"type": "http.disconnect"}
        self._sent = True
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def _send(self, message: Message) -> None:
        if self._error is not None:
            return
        if message["type"] == "http.response.start":
            self._started = True
            self._status = message["status"]
            self._headers = list(message.get("headers", ()))
            return
        if self._request.method != "HEAD":  # servers send no body then, even if there is one
            self._parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            self._over.set()


class _CutStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The part of a body that arrived before its connection was cut."""

    def __init__(self, body: bytes, error: httpx.TransportError) -> None:
        self._body = body
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield self._body
        raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body
        raise self._error
