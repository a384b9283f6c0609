"""JSON bodies of requests; decoding returns `Malformed` for bad input and never raises."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

from upsim.core.unreadable_bodies import flaw

MAX_DEPTH = 128
MAX_VALUES = 100_000
"""Values that a long document may hold, counted by its commas; long ones are those with a video."""
LONG = 256 * 1024
MAX_BESIDE = 1024 * 1024
"""Bytes of a long document that are no part of a text: numbers, white space and punctuation."""
MAX_ESCAPES = 1_000_000
"""Backslashes of a long document. Base64 in 30 MB of JSON has half as many if each / has one."""
MAX_EXPONENT = 308
"""Numbers are read as exactly as they are written, but within the range of common parsers."""


class Malformed(msgspec.Struct, frozen=True):
    """A body that cannot be read as JSON, and the reason."""

    reason: Literal["syntax", "encoding", "too_deep", "too_large", "content_type"]
    detail: str


def exact(text: str) -> Decimal:
    """Return a JSON number with a point or an exponent. Raises ValueError if out of range."""
    found = Decimal(text)
    if found and found.adjusted() > MAX_EXPONENT:
        raise ValueError("a number is out of range")
    return found if not found or found.adjusted() >= -MAX_EXPONENT else Decimal(0)


_DECODER = msgspec.json.Decoder(float_hook=exact)


def decode(body: bytes, headers: Mapping[bytes, bytes], *, refuse_repeats: bool) -> object:
    """Return the JSON document of a request, or why the body is not JSON. Never raises."""
    if len(body) > LONG and (excess := _excess(body)):
        return Malformed("too_large", excess)
    try:
        document = _DECODER.decode(body)
    except msgspec.DecodeError as error:
        return Malformed("syntax", flaw(body, headers, str(error)))
    except UnicodeDecodeError as error:
        return Malformed("encoding", flaw(body, headers, str(error)))
    except RecursionError:
        return Malformed("too_deep", "the document is nested too deeply")
    if len(body) > MAX_DEPTH or refuse_repeats:
        return _unusual(body, document, refuse_repeats=refuse_repeats) or document
    return document


def _excess(body: bytes) -> str:
    """Return which part of a long document exceeds a limit; empty if no part does."""
    if has_too_many_values(body):
        return f"the document holds more than {MAX_VALUES} values"
    if body.count(b"\\") > MAX_ESCAPES:
        return f"the document holds more than {MAX_ESCAPES} backslashes"
    if has_too_much_beside_texts(body):
        return f"more than {MAX_BESIDE} bytes are no part of a text"
    return ""


def has_too_many_values(body: bytes) -> bool:
    """Return whether a JSON document has too many values, estimated by its commas."""
    return len(body) > LONG and body.count(b",") > MAX_VALUES


def has_too_much_beside_texts(body: bytes, most: int = MAX_BESIDE) -> bool:
    """Return whether a JSON document has too many bytes outside of its texts.

    These bytes are numbers and white space. A number of many digits takes far longer to read
    than a text.
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
    """Return the end of the text that begins at `at`: the position after its closing quote."""
    while (end := body.find(b'"', at)) >= 0:
        escapes = 0
        if body[end - 1 : end] == b"\\":
            before = body[at:end]
            escapes = len(before) - len(before.rstrip(b"\\"))
        at = end + 1
        if escapes % 2 == 0:
            return at
    return len(body)


def _unusual(body: bytes, document: object, *, refuse_repeats: bool) -> Malformed | None:
    """Return why a document is refused although it is valid JSON; None if it is accepted."""
    brackets = body.count(b"{") + body.count(b"[")
    if brackets > MAX_DEPTH and depth_over(document, MAX_DEPTH):
        return Malformed("too_deep", f"the document is nested more than {MAX_DEPTH} deep")
    if refuse_repeats and repeats_a_key(body):
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
