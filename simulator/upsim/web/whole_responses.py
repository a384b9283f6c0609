"""Responses that are complete before sending starts, so that they are sent in one piece."""

from __future__ import annotations

import msgspec
from starlette.types import Message, Receive, Scope, Send

from upsim.core.call import JSON

Headers = tuple[tuple[bytes, bytes], ...]


class HttpResponse(msgspec.Struct, frozen=True):
    """Status, body and headers of a response; it is an ASGI application that sends itself.

    If `content_type` is None, no Content-Type is sent.
    """

    status: int
    body: bytes
    headers: Headers = ()
    content_type: bytes = JSON

    @property
    def head(self) -> Message:
        """Return the ASGI message that starts the response, with all headers."""
        headers = [(b"content-length", b"%d" % len(self.body)), *self.headers]
        if self.content_type:
            headers.insert(0, (b"content-type", self.content_type))
        return {"type": "http.response.start", "status": self.status, "headers": headers}

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the response."""
        await send(self.head)
        await send({"type": "http.response.body", "body": self.body})
