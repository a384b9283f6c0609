"""One request of a replay and its response, through an ASGI connection without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from starlette.types import Message, Scope

from upsim.web.connection_cutting import EXTENSION
from upsim.web.replay.export_document import ExportedRequest

BEYOND = b"9" * 18
"""A length above every limit, so that the body is not read, as in the recording."""


@dataclass(slots=True)
class ReplayedExchange:
    """A request with its headers, and the part of the response that has arrived."""

    asked: ExportedRequest
    headers: list[tuple[bytes, bytes]]
    body: bytes
    status: int | None = None
    answer_headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)
    cut: bool = False
    substituted: bool = False
    _asked: bool = False
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, app: Callable[..., Awaitable[None]]) -> None:
        """Send the request to the application, and receive the response."""
        await app(self.scope(), self.receive, self.send)

    @property
    def content(self) -> bytes:
        """Return the body of the response."""
        return b"".join(self.parts)

    def scope(self) -> Scope:
        """Return the ASGI scope of the request."""
        asked = self.asked
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": asked.method,
            "scheme": asked.scheme,
            "path": asked.path,
            "raw_path": quote(asked.path).encode(),
            "query_string": asked.query.encode("latin-1"),
            "root_path": "",
            "headers": self.headers,
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 1),
            "state": {},
            "extensions": {EXTENSION: self},
        }

    async def receive(self) -> Message:
        """Return the body of the request; return a disconnect after the response is complete."""
        if self._asked:
            await self._over.wait()
            return {"type": "http.disconnect"}
        self._asked = True
        return {"type": "http.request", "body": self.body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Receive a part of the response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.answer_headers = list(message["headers"])
            return
        self.parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            self._over.set()

    def drop(self) -> None:
        """Mark the connection as closed."""
        self._end()

    def reset(self) -> None:
        """Mark the connection as reset."""
        self._end()

    def waited(self, seconds: float) -> None:
        """Do nothing: a replay never times out."""

    def _end(self) -> None:
        self.cut = True
        self._over.set()
