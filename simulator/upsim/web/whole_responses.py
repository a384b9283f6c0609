"""Whole answers: known before anything is sent, so that they can leave in one piece."""

from __future__ import annotations

import msgspec
from starlette.types import Message, Receive, Scope, Send

from upsim.core.call import JSON

Headers = tuple[tuple[bytes, bytes], ...]


class HttpResponse(msgspec.Struct, frozen=True):
    """Status, body and headers of an answer. It is an ASGI application, which sends itself.

    Without a `content_type` none is sent.
    """

    status: int
    body: bytes
    headers: Headers = ()
    content_type: bytes = JSON

    @property
    def head(self) -> Message:
        """The ASGI message that begins the answer, with all of its headers."""
        headers = [(b"content-length", b"%d" % len(self.body)), *self.headers]
        if self.content_type:
            headers.insert(0, (b"content-type", self.content_type))
        return {"type": "http.response.start", "status": self.status, "headers": headers}

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the answer."""
        await send(self.head)
        await send({"type": "http.response.body", "body": self.body})
