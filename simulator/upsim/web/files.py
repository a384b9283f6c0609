"""Sends one file over ASGI: whole or a range of it, with validators (RFC 9110, 13 and 14)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import BinaryIO

from starlette.types import Scope, Send

CHUNK = 256 << 10

Header = tuple[bytes, bytes]

_RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.ASCII | re.IGNORECASE)
_PATHSEND = "http.response.pathsend"
_NOT_SATISFIABLE = "not satisfiable"


async def send_file(
    scope: Scope,
    send: Send,
    *,
    body: bytes | Path,
    content_type: str,
    etag: str,
    date: str | None,
    extra_headers: Iterable[Header] = (),
) -> None:
    """Answers a GET or HEAD for `body`.

    A single range is served; several at once get the whole file, as any server may choose. `etag`
    is the strong validator without its quotes, `date` a ready HTTP date, a path is absolute.
    """
    asked = _asked(scope)
    common = _common_headers(etag, date, extra_headers)
    size = len(body) if isinstance(body, bytes) else await asyncio.to_thread(_size, body)
    if _is_known(asked, etag):
        await _send_head(send, 304, common)
        await _send_end(send)
        return
    span = _wanted(asked, etag, size) if scope["method"] == "GET" else None
    if span == _NOT_SATISFIABLE:
        refused = [(b"content-range", f"bytes */{size}".encode()), (b"content-length", b"0")]
        await _send_head(send, 416, [*common, *refused])
        await _send_end(send)
        return
    start, end = span if isinstance(span, tuple) else (0, size)
    headers = [*common, (b"content-type", content_type.encode("latin-1"))]
    headers.append((b"content-length", str(end - start).encode()))
    if span is not None:
        headers.append((b"content-range", f"bytes {start}-{end - 1}/{size}".encode()))
    await _send_head(send, 200 if span is None else 206, headers)
    if scope["method"] == "HEAD":
        await _send_end(send)
    elif isinstance(body, bytes):
        await _send_end(send, body if span is None else body[start:end])
    elif span is None and _PATHSEND in (scope.get("extensions") or {}):
        await send({"type": _PATHSEND, "path": str(body)})
    else:
        await _send_chunks(send, body, start, end)


def _asked(scope: Scope) -> dict[bytes, str]:
    """The request headers that matter here, by lower-case name."""
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
    """Whether If-None-Match names this very file (13.1.2, weak comparison)."""
    known = asked.get(b"if-none-match", "")
    names = [name.strip().removeprefix("W/") for name in known.split(",")]
    return known.strip() == "*" or f'"{etag}"' in names


def _wanted(asked: dict[bytes, str], etag: str, size: int) -> tuple[int, int] | str | None:
    """The bytes asked for, start and end, or None for all of them.

    A range that cannot be read is ignored (14.2), as is one for another version of the file.
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


async def _send_chunks(send: Send, path: Path, start: int, end: int) -> None:
    async for chunk in _chunks(path, start, end):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await _send_end(send)


async def _chunks(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    """The bytes of a file, read in a thread."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while start < end:
            chunk = await asyncio.to_thread(_read, file, start, min(CHUNK, end - start))
            if not chunk:
                return
            start += len(chunk)
            yield chunk
    finally:
        file.close()


def _size(path: Path) -> int:
    return path.stat().st_size


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)
