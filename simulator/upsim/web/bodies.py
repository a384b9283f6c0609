"""Request bodies: read up to a limit, decoded without ever raising at what a caller sent."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from starlette.types import Receive

from upsim.core.call import Call, Malformed, RawHeaders

MAX_DEPTH = 128
LONGEST_LENGTH = 18
"""Digits of a Content-Length; one with more is above every limit all the same."""
_DECODER = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class ClientGoneError(ConnectionError):
    """The caller went away before the whole body was there."""


def announced_length(headers: RawHeaders) -> int:
    """What Content-Length says; 0 when it says nothing sensible."""
    for name, value in headers:
        if name == b"content-length":
            return int(value[:LONGEST_LENGTH]) if value.isdigit() else 0
    return 0


async def read_body(receive: Receive, headers: RawHeaders, limit: int) -> tuple[bytes, bool]:
    """The body, and whether it is larger than the limit (it is then not read to its end)."""
    if announced_length(headers) > limit:
        return b"", True
    message = await receive()
    _check_present(message)
    if not message.get("more_body", False):
        body = message.get("body", b"")
        return (b"", True) if len(body) > limit else (body, False)
    parts = [message.get("body", b"")]
    size = len(parts[0])
    while message.get("more_body", False) and size <= limit:
        message = await receive()
        _check_present(message)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
    return (b"", True) if size > limit else (b"".join(parts), False)


def decode(call: Call) -> object:
    """The JSON document of a call, or why it is none."""
    try:
        document = _DECODER.decode(call.body)
    except msgspec.DecodeError as error:
        return Malformed("syntax", str(error))
    except UnicodeDecodeError as error:
        return Malformed("encoding", str(error))
    except RecursionError:
        return Malformed("too_deep", "the document is nested too deeply")
    if _may_be_deep(call.body) and depth_over(document, MAX_DEPTH):
        return Malformed("too_deep", f"the document is nested more than {MAX_DEPTH} deep")
    if call.rules.knobs.get("duplicate_keys") == "refuse" and _repeats_a_key(call.body):
        return Malformed("syntax", "an object repeats a key")
    return document


def encode(value: object) -> bytes:
    """Compact JSON; `Decimal` becomes a number with exactly its digits."""
    return _ENCODER.encode(value)


def _may_be_deep(body: bytes) -> bool:
    """Whether there are enough brackets for it; most bodies need no closer look."""
    return body.count(b"{") + body.count(b"[") > MAX_DEPTH


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


def _repeats_a_key(body: bytes) -> bool:
    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        if len({name for name, _ in items}) != len(items):
            raise _RepeatedKeyError
        return dict(items)

    try:
        json.loads(body, object_pairs_hook=pairs)
    except _RepeatedKeyError:
        return True
    return False


def _check_present(message: Any) -> None:  # noqa: ANN401 - an ASGI message
    if message["type"] == "http.disconnect":
        raise ClientGoneError
