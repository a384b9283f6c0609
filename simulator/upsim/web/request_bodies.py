"""Functions that read request bodies up to a limit, and write JSON."""

from __future__ import annotations

import msgspec
from starlette.types import Receive, Scope

from upsim.core.call import Headers
from upsim.engine.body_memory import ALWAYS_TAKEN, Share

MAX_LENGTH_DIGITS = 18
"""Maximum digits of a Content-Length; a longer number exceeds every limit anyway."""
encode = msgspec.json.Encoder(decimal_format="number").encode
"""An encoder for compact JSON; a `Decimal` becomes a number with exactly its digits."""


class ClientGoneError(ConnectionError):
    """The client left before the whole body was received."""


def headers_of(scope: Scope) -> Headers:
    """Return the headers of a request; the first value of a repeated header."""
    return dict(reversed(scope["headers"]))


def announced_length(headers: Headers) -> int:
    """Return the number in Content-Length; 0 if it is invalid."""
    value = headers.get(b"content-length", b"")
    return int(value[:MAX_LENGTH_DIGITS]) if value.isdigit() else 0


async def read_body(
    receive: Receive, headers: Headers, limit: int, share: Share
) -> tuple[bytes, bool]:
    """Return the body, and whether it exceeds the limit (then its remainder is not read).

    Raises ClientGoneError or CrowdedError.
    """
    if announced_length(headers) > limit:
        return b"", True
    parts: list[bytes] = []
    size, more = 0, True
    while more and size <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part = message.get("body", b"")
        size += len(part)
        parts.append(part)
        more = message.get("more_body", False)
        if more or size > ALWAYS_TAKEN:
            share.hold(min(size, limit))
    return (b"", True) if size > limit else (b"".join(parts), False)


async def drain(receive: Receive, headers: Headers, limit: int) -> None:
    """Read a body of at most `limit` bytes and discard it. Raises ClientGoneError."""
    left, more = limit, announced_length(headers) <= limit
    while more and left >= 0:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        left -= len(message.get("body", b""))
        more = message.get("more_body", False)
