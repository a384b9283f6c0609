"""httpx transports that call the application in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import httpx
from starlette.types import ASGIApp, Message, Scope

Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]


class Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """For `httpx.Client(transport=…)` and `httpx.AsyncClient(transport=…)` alike."""

    def __init__(self, app: ASGIApp, run: Run) -> None:
        """Call `app`; `run` runs a coroutine to its end for the sync client."""
        self._app = app
        self._run = run

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request of a sync client."""
        exchange = _Exchange(request, request.read())
        self._run(lambda: exchange.run(self._app))
        return exchange.response()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request of an async client."""
        exchange = _Exchange(request, await request.aread())
        await exchange.run(self._app)
        return exchange.response()


class _Exchange:
    """One request and the messages that answer it."""

    def __init__(self, request: httpx.Request, body: bytes) -> None:
        self._request = request
        self._body = body
        self._sent = False
        self._over = asyncio.Event()
        self._status = 500
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []

    async def run(self, app: Callable[..., Awaitable[None]]) -> None:
        await app(self._scope(), self._receive, self._send)

    def response(self) -> httpx.Response:
        return httpx.Response(
            self._status,
            headers=self._headers,
            stream=httpx.ByteStream(b"".join(self._parts)),
            request=self._request,
        )

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
        }

    async def _receive(self) -> Message:
        if self._sent:
            await self._over.wait()  # the caller stays until it has its answer
            return {"type": "http.disconnect"}
        self._sent = True
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = list(message.get("headers", ()))
            return
        if self._request.method != "HEAD":  # servers send no body then, whatever is given
            self._parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            self._over.set()
