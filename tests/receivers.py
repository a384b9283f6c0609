"""Receivers of webhooks in this process, and the way to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import PlainTextResponse

Posted = Callable[[httpx.Request], httpx.Request]


@dataclass
class Hosts(httpx.AsyncBaseTransport):
    """The way to applications in this process by their host, and to `inner` for all others."""

    inner: httpx.AsyncBaseTransport | None = None
    apps: dict[str, Any] = field(default_factory=dict)
    posted: Posted = lambda request: request

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send to the host, at any port."""
        app = self.apps.get(request.url.host)
        if app is None:
            assert self.inner is not None, request.url
            return await self.inner.handle_async_request(request)
        return await httpx.ASGITransport(app).handle_async_request(self.posted(request))


@dataclass
class Receiver:
    """A client's receiver of webhooks, which answers with these statuses, the last one for ever."""

    statuses: Sequence[int] = (200,)
    got: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Take one delivery."""
        request = Request(scope, receive)
        headers = {**request.headers, "url": str(request.url)}
        self.got.append((headers, await request.body()))
        status = self.statuses[min(len(self.got), len(self.statuses)) - 1]
        await PlainTextResponse(f"taken with {status}", status)(scope, receive, send)
