"""The server side of an in-memory connection: HTTP/1.1 as bytes, and the connection's end.

Libraries receive only bytes or a cut connection, so their own parsing, retries and
exceptions apply.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus

import h11
import httpx

MAX_HEAD_LENGTH = 1 << 20
UNSENT = frozenset({b"connection", b"keep-alive", b"transfer-encoding"})
"""Response headers about the connection; this connection closes after each response."""


class ConnectionEnd(Enum):
    """The way in which a connection ends after the sent bytes."""

    CLOSED = auto()
    RESET = auto()
    SILENT = auto()


@dataclass(frozen=True, slots=True)
class ServerBytes:
    """The bytes that the server side sends, and how the connection ends."""

    data: bytes
    ending: ConnectionEnd


class ServerSide:
    """Reads one request from bytes, as a server does."""

    def __init__(self, scheme: str) -> None:
        """Keep `scheme`, the scheme that the client uses; there is no TLS here."""
        self._scheme = scheme
        self._server = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_LENGTH)
        self._head: h11.Request | None = None
        self._body: list[bytes] = []

    def feed(self, data: bytes) -> tuple[httpx.Request | None, bytes]:
        """Process bytes; return the complete request or None, and bytes to send immediately."""
        self._server.receive_data(data)
        go_on = b""
        while True:
            event = self._server.next_event()
            if isinstance(event, h11.Request):
                self._head = event
                if self._server.they_are_waiting_for_100_continue:
                    interim = h11.InformationalResponse(status_code=100, headers=[])
                    go_on += self._server.send(interim) or b""
            elif isinstance(event, h11.Data):
                self._body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return self._request(), go_on
            else:
                return None, go_on

    def _request(self) -> httpx.Request:
        if self._head is None:
            raise httpx.LocalProtocolError("a request ended before it began")
        headers = list(self._head.headers.raw_items())
        host = next(value for name, value in headers if name.lower() == b"host").decode("ascii")
        target = self._head.target.decode("latin-1")
        url = target if target.startswith("http") else f"{self._scheme}://{host}{target}"
        kept = [(n, v) for n, v in headers if n.lower() != b"transfer-encoding"]
        method = self._head.method.decode("ascii")
        return httpx.Request(method, url, headers=kept, content=b"".join(self._body))


def head_of(response: httpx.Response) -> bytes:
    """Return status line and headers; the connection closes after this response."""
    reason = HTTPStatus(response.status_code).phrase if response.status_code in _KNOWN else ""
    lines = [f"HTTP/1.1 {response.status_code} {reason}".encode(), b"Connection: close"]
    lines += [n + b": " + v for n, v in response.headers.raw if n.lower() not in UNSENT]
    return b"\r\n".join(lines) + b"\r\n\r\n"


_KNOWN = frozenset(map(int, HTTPStatus))


def sent(response: httpx.Response) -> ServerBytes:
    """Serialize a response; if its body breaks off, return the sent part and how it ends."""
    parts = [head_of(response)]
    try:
        parts.extend(_stream_of(response))
    except httpx.TransportError as error:
        return ServerBytes(b"".join(parts), ending(error))
    return ServerBytes(b"".join(parts), ConnectionEnd.CLOSED)


def ending(error: httpx.TransportError) -> ConnectionEnd:
    """Return the way in which the connection of an error ends."""
    if isinstance(error, httpx.TimeoutException):
        return ConnectionEnd.SILENT
    return (
        ConnectionEnd.CLOSED
        if isinstance(error, httpx.RemoteProtocolError)
        else ConnectionEnd.RESET
    )


def _stream_of(response: httpx.Response) -> Iterable[bytes]:
    stream = response.stream
    if not isinstance(stream, httpx.SyncByteStream):
        raise TypeError(f"an unsupported response stream: {type(stream).__name__}")
    return stream
