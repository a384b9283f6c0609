"""The tasks that a bulk cancel selects: their family, and the time before which they came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from upsim.core import causes
from upsim.core.call import Call
from upsim.core.checks import Violation
from upsim.core.instants import SECOND, Instant
from upsim.providers.piapi.query_parameters import bad_query, whole


@dataclass(frozen=True, slots=True)
class Bulk:
    """The tasks of a bulk cancel: their family, and the time before which they were accepted."""

    family: str
    before: Instant


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
