"""Query parameters that are whole numbers, and the selection of a bulk cancel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from upsim.core import causes
from upsim.core.call import Call
from upsim.core.checks import Violation
from upsim.core.instants import SECOND, Instant

_WHOLE = re.compile("[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Bulk:
    """The tasks of a bulk cancel: their family, and the time before which they were accepted."""

    family: str
    before: Instant


def whole(query: Mapping[str, str], name: str) -> int | Violation | None:
    """The parameter as a number; None when it is absent or empty."""
    text = query.get(name, "")
    if not text:
        return None
    if _WHOLE.fullmatch(text):
        return int(text)
    return bad_query(query, name, "a whole number of at most 15 digits")


def bad_query(query: Mapping[str, str], name: str, expected: str) -> Violation:
    """The refusal of an invalid query parameter."""
    cause = f"query: {causes.of(name, query, expected)}"
    return Violation("bad_query", {"field": name}, cause=cause)


def read_bulk(call: Call) -> Bulk | Violation:
    """`created_before` (Unix seconds) and `model` (a family), both required."""
    query = call.query()
    before, family = whole(query, "created_before"), query.get("model", "")
    if isinstance(before, Violation):
        return before
    if before is None:
        return bad_query(query, "created_before", "Unix seconds")
    known = cast("tuple[str, ...]", call.rules.fact("cancel_families"))
    if family not in known:
        return bad_query(query, "model", " or ".join(map(causes.quoted, known)))
    return Bulk(family=family, before=before * SECOND)


def bulk_of(call: Call) -> Bulk:
    """The selection of a request that passed the check `bulk_selection`."""
    return cast("Bulk", read_bulk(call))


def bulk_selection(call: Call) -> Violation | None:
    """Both parameters of a bulk cancel are present and valid."""
    selection = read_bulk(call)
    return selection if isinstance(selection, Violation) else None
