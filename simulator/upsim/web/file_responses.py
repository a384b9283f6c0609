"""Send one file over ASGI: whole or a range, with validators (RFC 9110, 13 and 14).

Large files are sent in chunks; sending stops when the client leaves.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.types import Receive, Scope, Send

CHUNK = 256 << 10
_MAX_MESSAGES = 1_024  # of a request body that is not read

Header = tuple[bytes, bytes]

_RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.ASCII | re.IGNORECASE)
_PATHSEND = "http.response.pathsend"
_NOT_SATISFIABLE = "not satisfiable"


async def send_file(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    body: bytes | Path,
    content_type: str,
    etag: str,
    date: str | None,
    extra_headers: Iterable[Header] = (),
) -> bool:
    """Respond to a GET or HEAD for `body`; return True if all its bytes were sent.

    A single range is served. For several ranges the whole file is sent, as the RFC allows.
    `etag` is the strong validator without quotes, `date` an HTTP date; a path must be absolute.
    Raises `OSError` if the file cannot be opened; in that case nothing was sent.
    """
    source = _Bytes(body) if isinstance(body, bytes) else await asyncio.to_thread(_File, body)
    try:
        head = (content_type, _common_headers(etag, date, extra_headers))
        return await _answer(scope, receive, send, source, etag, head)
    finally:
        source.close()


async def _answer(
    scope: Scope,
    receive: Receive,
    send: Send,
    source: _Bytes | _File,
    etag: str,
    head: tuple[str, list[Header]],
) -> bool:
    (content_type, common), size = head, source.size
    asked = _asked(scope)
    if _is_known(asked, etag):
        await _send_head(send, 304, common)
        await _send_end(send)
        return False
    span = _wanted(asked, etag, size) if scope["method"] == "GET" else None
    if span == _NOT_SATISFIABLE:
        refused = [(b"content-range", f"bytes */{size}".encode()), (b"content-length", b"0")]
        await _send_head(send, 416, [*common, *refused])
        await _send_end(send)
        return False
    start, end = span if isinstance(span, tuple) else (0, size)
    headers = [*common, (b"content-type", content_type.encode("latin-1"))]
    headers.append((b"content-length", str(end - start).encode()))
    if span is not None:
        headers.append((b"content-range", f"bytes {start}-{end - 1}/{size}".encode()))
    await _send_head(send, 200 if span is None else 206, headers)
    if scope["method"] == "HEAD":
        await _send_end(send)
        return False
    if isinstance(source, _Bytes) and end - start <= CHUNK:
        await _send_end(send, await source.read(start, end - start))
    elif (
        span is None and isinstance(source, _File) and _PATHSEND in (scope.get("extensions") or {})
    ):
        await send({"type": _PATHSEND, "path": str(source.path)})
    elif not await _send_chunks(receive, send, source, start, end):
        return False
    return (start, end) == (0, size)


class _Bytes:
    """A body in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    async def read(self, start: int, length: int) -> bytes:
        return self._data[start : start + length]

    def close(self) -> None:
        """Do nothing: no file is open."""


class _File:
    """A body on disk, read in a thread; it stays readable after the file is removed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("rb")
        self.size = self._file.seek(0, os.SEEK_END)

    async def read(self, start: int, length: int) -> bytes:
        return await asyncio.to_thread(self._read, start, length)

    def close(self) -> None:
        self._file.close()

    def _read(self, start: int, length: int) -> bytes:
        self._file.seek(start)
        return self._file.read(length)


def _asked(scope: Scope) -> dict[bytes, str]:
    """Return the relevant request headers, by lower-case name."""
    asked: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in (b"range", b"if-range", b"if-none-match"):
            text = value.decode("latin-1")
            asked[name] = f"{asked[name]}, {text}" if name in asked else text
    return asked


def _common_headers(etag: str, date: str | None, extra: Iterable[Header]) -> list[Header]:
    headers = [(b"accept-ranges", b"bytes"), (b"etag", f'"{etag}"'.encode("latin-1")), *extra]
    if date is not None:
        headers.append((b"date", date.encode("ascii")))
    return headers


def _is_known(asked: dict[bytes, str], etag: str) -> bool:
    """Return whether If-None-Match names this file (13.1.2, weak comparison)."""
    known = asked.get(b"if-none-match", "")
    names = [name.strip().removeprefix("W/") for name in known.split(",")]
    return known.strip() == "*" or f'"{etag}"' in names


def _wanted(asked: dict[bytes, str], etag: str, size: int) -> tuple[int, int] | str | None:
    """Return start and end of the requested bytes, None for all bytes, or a refusal.

    An invalid range is ignored (14.2). A range for another version of the file is ignored too.
    """
    match = _RANGE.fullmatch(asked.get(b"range", ""))
    if match is None or asked.get(b"if-range", f'"{etag}"').strip() != f'"{etag}"':
        return None
    first, last = match[1], match[2]
    if not first:
        return _suffix(last, size)
    start, end = int(first), min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    return (start, end) if start < size else _NOT_SATISFIABLE


def _suffix(length: str, size: int) -> tuple[int, int] | str | None:
    if not length:
        return None
    return (max(0, size - int(length)), size) if int(length) and size else _NOT_SATISFIABLE


async def _send_head(send: Send, status: int, headers: list[Header]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _send_end(send: Send, body: bytes = b"") -> None:
    await send({"type": "http.response.body", "body": body})


async def _send_chunks(
    receive: Receive, send: Send, source: _Bytes | _File, start: int, end: int
) -> bool:
    """Send a part of the body; return False if the client disconnected or the file ended early."""
    async with _watching(receive) as client:
        while start < end and not await client.is_gone():
            chunk = await source.read(start, min(CHUNK, end - start))
            if not chunk:
                break
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            start += len(chunk)
        await client.is_gone()
    await _send_end(send)
    return start == end and not client.gone


class _Client:
    """The client of a download, which may disconnect at any time."""

    def __init__(self, receive: Receive) -> None:
        self.gone = False
        self._watch = asyncio.create_task(self._listen(receive))

    async def is_gone(self) -> bool:
        """Return whether the client has disconnected, after one cycle of the event loop."""
        await asyncio.wait([self._watch], timeout=0)
        return self.gone

    async def stop(self) -> None:
        self._watch.cancel()
        await asyncio.wait([self._watch])

    async def _listen(self, receive: Receive) -> None:
        for _ in range(_MAX_MESSAGES):
            if (await receive())["type"] == "http.disconnect":
                self.gone = True
                return


@asynccontextmanager
async def _watching(receive: Receive) -> AsyncIterator[_Client]:
    client = _Client(receive)
    try:
        yield client
    finally:
        await client.stop()
