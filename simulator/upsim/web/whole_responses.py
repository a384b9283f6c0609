"""Responses that are complete before sending starts, so that they are sent in one piece."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from upsim.engine import request_records

Headers = tuple[tuple[bytes, bytes], ...]


class HttpResponse(request_records.Response, frozen=True, gc=False):
    """A response that is an ASGI application, which sends the response."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the response."""
        await send(self.head)
        await send({"type": "http.response.body", "body": self.body})
