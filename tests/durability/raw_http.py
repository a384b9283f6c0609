"""HTTP/1.1 over asyncio streams: one write can carry several requests, and each response counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

LOST = (ConnectionError, asyncio.IncompleteReadError)
"""What a client gets when the server dies."""


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        """The body as JSON."""
        return json.loads(self.body)


def ignored(_response: Response) -> None:
    """Conclude nothing from a response."""


@dataclass(slots=True)
class Request:
    """A request, and what a client concludes from its response."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    on_response: Callable[[Response], None] = ignored

    def wire(self, host: str) -> bytes:
        """Return the bytes of the request."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += [f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode() + self.body


def json_request(
    method: str,
    path: str,
    value: object = None,
    *,
    headers: Mapping[str, str] | None = None,
    on_response: Callable[[Response], None] = ignored,
) -> Request:
    """Return a request with a JSON body; None sends no body."""
    body = b"" if value is None else json.dumps(value).encode()
    kind = {} if value is None else {"Content-Type": "application/json"}
    return Request(method, path, {**kind, **(headers or {})}, body, on_response)


class Connection:
    """One keep-alive connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str
    ) -> None:
        """Use `open` instead."""
        self._reader, self._writer, self._host = reader, writer, host

    @classmethod
    async def open(cls, base_url: str) -> Self:
        """Connect to a server. Raises OSError."""
        place = urlsplit(base_url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=2**20)
        return cls(reader, writer, place.netloc)

    async def send(self, requests: Sequence[Request], *, pause: float = 0.0) -> list[Response]:
        """Send requests without waiting for responses in between. Raises LOST.

        They are sent in one write, or with pauses in between, so that the server handles them in
        different turns of its event loop. Each response is handled when it arrives.
        """
        sending = asyncio.create_task(self._write(requests, pause))
        responses = []
        try:
            for request in requests:
                responses.append(await self._response())
                request.on_response(responses[-1])
        finally:
            sending.cancel()
        return responses

    async def _write(self, requests: Sequence[Request], pause: float) -> None:
        wires = [request.wire(self._host) for request in requests]
        if not pause:
            wires = [b"".join(wires)]
        for wire in wires:
            self._writer.write(wire)
            await asyncio.sleep(pause)

    async def _response(self) -> Response:
        head = await self._reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        named = dict(line.lower().split(": ", 1) for line in lines if line)
        body = await self._reader.readexactly(int(named.get("content-length", 0)))
        return Response(int(status.split(" ")[1]), body)

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()
