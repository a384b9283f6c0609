"""The headers of all responses below `/media`, which keep a file from running as a page.

Clients upload these files. A browser that opens such a file must not guess its type, and must
not run its content on the origin of the admin API.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import Message, Scope, Send

Headers = tuple[tuple[bytes, bytes], ...]

SAFE_TYPES = frozenset(
    {
        b"application/json",
        b"application/octet-stream",
        b"application/xml",
        b"audio/aac",
        b"audio/flac",
        b"audio/mp4",
        b"audio/mpeg",
        b"audio/ogg",
        b"audio/wav",
        b"audio/webm",
        b"audio/x-wav",
        b"image/bmp",
        b"image/gif",
        b"image/jpeg",
        b"image/png",
        b"image/webp",
        b"text/plain; charset=utf-8",
        b"video/3gpp",
        b"video/mp4",
        b"video/mpeg",
        b"video/ogg",
        b"video/quicktime",
        b"video/webm",
        b"video/x-flv",
        b"video/x-matroska",
        b"video/x-ms-wmv",
        b"video/x-msvideo",
    }
)
"""Content types that browsers do not run; other files are sent as bytes without a type."""
NO_TYPE = b"application/octet-stream"
ALWAYS: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"sandbox; default-src 'none'"),
)
ATTACHED: Headers = (*ALWAYS, (b"content-disposition", b"attachment"))
ANY_ORIGIN: Headers = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"ETag, Content-Length, Content-Range, Accept-Ranges"),
)
NAMES = frozenset(name.decode("ascii") for name, _ in (*ATTACHED, *ANY_ORIGIN))
"""Headers that exports of older servers do not have."""
PREFLIGHT: Headers = (
    (b"access-control-allow-headers", b"*"),
    (b"access-control-max-age", b"600"),
    (b"content-length", b"0"),
)


def safely(send: Send, more: Headers) -> Send:
    """Return a `send` that adds headers, and removes content types that browsers run.

    Faults may set any headers; the added headers replace the headers of faults.
    """
    ours = {name for name, _ in more}

    async def safe(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                _safe(pair) for pair in message.get("headers", ()) if pair[0].lower() not in ours
            ]
            message = {**message, "headers": [*kept, *more]}
        await send(message)

    return safe


def headers_for(kind: str, *, any_origin: bool) -> Headers:
    """Return the headers of all responses about a file of this kind."""
    always = ATTACHED if kind == "uploads" else ALWAYS
    return always + ANY_ORIGIN if any_origin else always


def is_preflight(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    """Return whether the request is a CORS preflight (Fetch) for a page of another origin."""
    return scope["method"] == "OPTIONS" and b"access-control-request-method" in headers


async def allow(send: Send, methods: bytes) -> None:
    """Respond to a preflight: pages may use these methods, with any header."""
    headers = [(b"access-control-allow-methods", methods), *PREFLIGHT]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _safe(pair: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    name, value = pair
    if name.lower() == b"content-type" and value.lower() not in SAFE_TYPES:
        return (name, NO_TYPE)
    return pair
