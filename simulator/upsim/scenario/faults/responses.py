"""Responses and headers with which faults replace the real ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import cast

from upsim.core.faults import Respond, Stage
from upsim.core.suggestions import nearest_to, shown, unknown_value
from upsim.scenario.faults.numbers_and_durations import is_whole
from upsim.scenario.faults.vocabulary import FaultVocabulary, Node
from upsim.scenario.yaml_tree import Found, Place

MAX_TEXT_LENGTH = 1_000_000
_MIN_STATUS, _MAX_STATUS = 200, 599
_WITHOUT_BODY = (204, 205, 304)
_NAMED = ("error", "values")
_RAW = ("status", "body", "headers", "content_type")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}\Z")
_STATUS = re.compile(r"[2-5][0-9]{2}\Z")
_OF_THE_SERVER = ("content-length", "transfer-encoding", "connection")


def answer_mistakes(value: object, stage: Stage | None, known: FaultVocabulary) -> Found:
    """Yield the mistakes in a response: a catalogue entry, a status, or a complete response."""
    if isinstance(value, int) and not isinstance(value, bool):
        yield from _status((), value)
    elif stage == "webhook":
        message = f"a receiver's response is a status, such as 500, not {shown(value)}"
        yield (), message + _unquoted(value)
    elif isinstance(value, str) and _STATUS.match(value) and value not in known.errors:
        yield from _status((), value)
    elif isinstance(value, str):
        yield from _entry((), value, {}, known)
    elif not isinstance(value, Mapping) or not value:
        form = "an entry of errors, a status, or {status, body, headers, content_type}"
        yield (), f"{form}, not {shown(value)}"
    elif "error" in value:
        yield from _catalogue(value, known)
    else:
        yield from _raw(value)


def answer_of(value: object) -> Respond:
    """Return the response of a valid value."""
    if isinstance(value, int):
        return Respond(status=value)
    if isinstance(value, str):
        return Respond(error=value)
    given = cast("Node", value)
    if "error" in given:
        return Respond(error=given["error"], values=given.get("values", {}))
    body = given.get("body", "")
    kind = given.get("content_type", _kind_of(body))
    named = () if kind is None else (("content-type", kind),)
    return Respond(
        status=given.get("status", 200),
        body=body,
        headers=(*named, *headers_of(given.get("headers", {}))),
    )


def _kind_of(body: object) -> str | None:
    """Return the default content type of a body; None without a body."""
    if isinstance(body, str):
        return "text/plain; charset=utf-8" if body else None
    return "application/json"


def header_mistakes(value: object, *_rest: object) -> Found:
    """Yield the mistakes in the headers of a response."""
    if not isinstance(value, Mapping) or not value:
        yield (), f"headers must be {{name: text}}, not {shown(value)}"
        return
    for name, text in value.items():
        if not isinstance(name, str) or not _HEADER.match(name):
            yield (name,), f"{shown(name)} is not the name of a header, such as retry-after"
        elif name.lower() in _OF_THE_SERVER:
            yield (name,), "the server sets this header itself"
        elif not isinstance(text, str | int) or not _is_header_text(str(text)):
            yield (name,), f"a header is a text of one line, not {shown(text)}"


def headers_of(headers: Node) -> tuple[tuple[str, str], ...]:
    """Return valid headers with names in lower case."""
    return tuple((name.lower(), str(text)) for name, text in headers.items())


def _is_header_text(text: str) -> bool:
    return text.isprintable() and all(ord(letter) < 256 for letter in text)  # noqa: PLR2004


def _catalogue(value: Node, known: FaultVocabulary) -> Found:
    for key in value:
        if key not in _NAMED:
            yield (key,), "only values may be written beside error"
    values = value.get("values", {})
    if not isinstance(values, Mapping):
        yield ("values",), f"values must be {{name: value}} for the message, not {shown(values)}"
        return
    yield from _entry(("error",), value["error"], values, known)


def _entry(place: Place, name: object, values: Node, known: FaultVocabulary) -> Found:
    if not isinstance(name, str) or name not in known.errors:
        yield place, unknown_value("error", name, known.errors)
        return
    missing = sorted(known.errors[name] - {"url"} - set(values))
    if missing:
        example = f"{{error: {name}, values: {{{missing[0]}: …}}}}"
        yield place, f"its message needs {', '.join(missing)}: write {example}"
    usable = known.variants.get(name, known.errors[name])
    for key in values:
        if key not in usable:
            yield (*place[:-1], "values", key), _unused_value(key, name, usable)


def _unused_value(key: object, entry: str, placeholders: Collection[str]) -> str:
    if not placeholders:
        return f"the message of {entry} has no placeholders; leave values out"
    return unknown_value("placeholder", key, sorted(placeholders))


def _raw(value: Node) -> Found:
    for key in value:
        if key not in _RAW:
            yield (key,), f"unknown key; {nearest_to(key, (*_NAMED, *_RAW))}"
    yield from _status(("status",), value.get("status", 200))
    if "headers" in value:
        for place, message in header_mistakes(value["headers"]):
            yield ("headers", *place), message
    kind = value.get("content_type", "text/plain")
    if not isinstance(kind, str) or not _is_header_text(kind):
        yield ("content_type",), f"a text of one line such as text/html, not {shown(kind)}"
    for message in _wrong_body(value.get("body", ""), value.get("status")):
        yield ("body",), message


def _status(place: Place, status: object) -> Found:
    if not is_whole(status, _MIN_STATUS, _MAX_STATUS):
        message = f"{shown(status)} is not a status from {_MIN_STATUS} to {_MAX_STATUS}"
        yield place, message + _unquoted(status)


def _unquoted(status: object) -> str:
    """Return the hint for a status that is written as a text; empty for any other value."""
    quoted = isinstance(status, str) and _STATUS.match(status)
    return f"; write {status} without quotes" if quoted else ""


def _wrong_body(body: object, status: object) -> list[str]:
    found = []
    if isinstance(body, str) and len(body) > MAX_TEXT_LENGTH:
        found.append(f"more than {MAX_TEXT_LENGTH} characters")
    if isinstance(body, str) and any("\ud800" <= letter <= "\udfff" for letter in body):
        found.append("a text that cannot be sent as UTF-8")
    if body != "" and status in _WITHOUT_BODY:
        found.append(f"a response with status {status} has no body")
    return found
