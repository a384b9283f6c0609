"""Undocumented options of a request: the sent and the documented values, the nearest name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any

from upsim_contracts.cassettes.bounded_json import parsed
from upsim_contracts.documents.response_checks import operation_of
from upsim_contracts.documents.schemas import SchemaViolation
from upsim_contracts.suggestions import CLOSE

MAX_FIELDS = 50
"""Fields of a body, and of each object in it, that are looked at."""
MAX_REPORTED = 3
MAX_LENGTH = 200
_LIST = "one of "


def wrong_options(
    provider: str, dialect: str, *, method: str, path: str, body: bytes
) -> Iterator[str]:
    """Yield a text for each of the first options whose type or value is in no document."""
    place, found = operation_of(provider, dialect, method, path), parsed(body)
    if place is None or found is None or not isinstance(found[0], Mapping):
        return
    document, operation = place
    told: dict[str, str] = {}
    for one in document.check_request(operation, _short(found[0])):
        name = ".".join(map(str, one.path))
        if name and one.seen != "none" and (name not in told or one.expected.startswith(_LIST)):
            told[name] = f"{name}: found {one.seen}, expected {one.expected}{_meant(one)}"
    yield from islice(told.values(), MAX_REPORTED)


def _short(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first fields of a body, without lists and with shortened texts."""
    found: dict[str, Any] = {}
    for name, value in islice(fields.items(), MAX_FIELDS):
        if isinstance(value, Mapping):
            found[name[:MAX_LENGTH]] = _short(value)
        else:
            short = value[:MAX_LENGTH] if isinstance(value, str) else value
            found[name[:MAX_LENGTH]] = value[:1] if isinstance(value, list) else short
    return found


def _meant(one: SchemaViolation) -> str:
    known = {text.strip('"'): text for text in one.expected.removeprefix(_LIST).split(", ")}
    near = get_close_matches(one.seen.strip('"'), known, n=1, cutoff=CLOSE)
    return f"; did you mean {known[near[0]]}?" if near else ""
