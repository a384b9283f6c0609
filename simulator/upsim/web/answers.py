"""Whole answers: known before anything is sent, so that they can leave in one piece."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from upsim.core.call import JSON

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(slots=True)
class Answer:
    """Status, body and headers of an answer. It is an ASGI application, which sends itself."""

    status: int
    body: bytes
    headers: Headers = ()
    content_type: bytes = JSON

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the answer."""
        headers = [
            (b"content-type", self.content_type),
            (b"content-length", b"%d" % len(self.body)),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})
