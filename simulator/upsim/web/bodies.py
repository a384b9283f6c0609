"""Request bodies: read up to a limit, decoded without ever raising at what a caller sent."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
from starlette.types import Receive, Scope

from upsim.core.call import Call, Headers, Malformed
from upsim.engine.room import ALWAYS_TAKEN, Share
from upsim.web.unreadable_bodies import flaw

MAX_DEPTH = 128
MAX_VALUES = 100_000
"""Values that a long document may hold, counted by its commas; long ones are those with a video."""
LONG = 256 * 1024
MAX_BESIDE = 1024 * 1024
"""Bytes of a long document that are no part of a text: numbers, white space and punctuation."""
MAX_ESCAPES = 1_000_000
"""Backslashes of a long document. Base64 in 30 MB of JSON has half as many if each / has one."""
MAX_LENGTH_DIGITS = 18
"""Digits of a Content-Length; one with more is above every limit all the same."""
MAX_EXPONENT = 308
"""Numbers are read as exactly as they are written, but within the range of common parsers."""
encode = msgspec.json.Encoder(decimal_format="number").encode
"""A value as compact JSON; `Decimal` becomes a number with exactly its digits."""


def exact(text: str) -> Decimal:
    """A JSON number with a point or an exponent. Raises ValueError for one out of range."""
    found = Decimal(text)
    if found and found.adjusted() > MAX_EXPONENT:
        raise ValueError("a number is out of range")
    return found if not found or found.adjusted() >= -MAX_EXPONENT else Decimal(0)


_DECODER = msgspec.json.Decoder(float_hook=exact)


class ClientGoneError(ConnectionError):
    """The caller went away before the whole body was there."""


def headers_of(scope: Scope) -> Headers:
    """The headers of a request; of a repeated one the first."""
    return dict(reversed(scope["headers"]))


def announced_length(headers: Headers) -> int:
    """What Content-Length says; 0 when it says nothing sensible."""
    value = headers.get(b"content-length", b"")
    return int(value[:MAX_LENGTH_DIGITS]) if value.isdigit() else 0


async def read_body(
    receive: Receive, headers: Headers, limit: int, share: Share
) -> tuple[bytes, bool]:
    """The body, and whether it is larger than the limit (it is then not read to its end).

    Raises ClientGoneError, CrowdedError.
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
    """Read a body of at most `limit` bytes and keep nothing of it. Raises ClientGoneError."""
    left, more = limit, announced_length(headers) <= limit
    while more and left >= 0:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        left -= len(message.get("body", b""))
        more = message.get("more_body", False)


def decode(call: Call) -> object:
    """The JSON document of a call, or why it is none."""
    body = call.body
    if len(body) > LONG and (excess := _excess(body)):
        return Malformed("too_large", excess)
    try:
        document = _DECODER.decode(body)
    except msgspec.DecodeError as error:
        return Malformed("syntax", flaw(call, str(error)))
    except UnicodeDecodeError as error:
        return Malformed("encoding", flaw(call, str(error)))
    except RecursionError:
        return Malformed("too_deep", "the document is nested too deeply")
    if len(body) > MAX_DEPTH or call.rules.knobs.get("duplicate_keys") == "refuse":
        return _unusual(call, document) or document
    return document


def _excess(body: bytes) -> str:
    """Say what a long document has too much of; empty where there is nothing."""
    if has_too_many_values(body):
        return f"the document holds more than {MAX_VALUES} values"
    if body.count(b"\\") > MAX_ESCAPES:
        return f"the document holds more than {MAX_ESCAPES} backslashes"
    if has_too_much_beside_texts(body):
        return f"more than {MAX_BESIDE} bytes are no part of a text"
    return ""


def has_too_many_values(body: bytes) -> bool:
    """Whether a JSON document is long because it holds many values, by the count of its commas."""
    return len(body) > LONG and body.count(b",") > MAX_VALUES


def has_too_much_beside_texts(body: bytes, most: int = MAX_BESIDE) -> bool:
    """Whether a JSON document is long because of its numbers or white space.

    A number of many digits takes far longer to read than a text.
    """
    if len(body) <= most:
        return False
    if body.count(b'"') > MAX_VALUES * 4:
        return True
    beside = at = 0
    while (start := body.find(b'"', at)) >= 0:
        beside += start - at
        at = _end_of_text(body, start + 1)
    return beside + len(body) - at > most


def _end_of_text(body: bytes, at: int) -> int:
    """Where the text ends that begins there: behind a quote that no backslash escapes."""
    while (end := body.find(b'"', at)) >= 0:
        escapes = 0
        if body[end - 1 : end] == b"\\":
            before = body[at:end]
            escapes = len(before) - len(before.rstrip(b"\\"))
        at = end + 1
        if escapes % 2 == 0:
            return at
    return len(body)


def _unusual(call: Call, document: object) -> Malformed | None:
    """Why a document that can be read is not taken."""
    brackets = call.body.count(b"{") + call.body.count(b"[")
    if brackets > MAX_DEPTH and depth_over(document, MAX_DEPTH):
        return Malformed("too_deep", f"the document is nested more than {MAX_DEPTH} deep")
    if call.rules.knobs.get("duplicate_keys") == "refuse" and repeats_a_key(call.body):
        return Malformed("syntax", "an object repeats a key")
    return None


def depth_over(document: Any, limit: int) -> bool:  # noqa: ANN401 - any JSON
    """Whether containers are nested more than `limit` deep."""
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(limit):
        inner = []
        for item in level:
            values = item.values() if isinstance(item, dict) else item
            inner += [value for value in values if isinstance(value, dict | list)]
        if not inner:
            return False
        level = inner
    return True


class _RepeatedKeyError(ValueError):
    pass


def repeats_a_key(body: bytes) -> bool:
    """Whether an object in a JSON document has a key twice."""

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        if len({name for name, _ in items}) != len(items):
            raise _RepeatedKeyError
        return dict(items)

    try:
        json.loads(body, object_pairs_hook=pairs)
    except _RepeatedKeyError:
        return True
    return False
