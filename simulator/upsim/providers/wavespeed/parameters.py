"""Body fields of operations without a model: the tables of the baseline, and their checks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from upsim.core import causes
from upsim.core.baseline import Plain
from upsim.core.call import Call
from upsim.core.checks import Check, Violation, named, whole_number
from upsim.core.instants import DAY, Instant, from_iso
from upsim.providers.wavespeed.checks import bad_type, missing

_MILLISECONDS = re.compile(r"[0-9]{1,18}")
_MICROSECONDS_PER_MILLISECOND = 1000

Row = Mapping[str, Plain]
"""One row of a table: its `kind`, and other rules (`required`, `minimum`, `allowed`, ...)."""


def well_formed(call: Call) -> Violation | None:
    """Each field in the operation's table is absent, null, or valid for its row."""
    for name, row in table(call).items():
        value = call.inputs.get(name)
        violation = _refused(call, name, row, value)
        if violation is not None:
            return violation
    return None


def query_as_inputs(call: Call) -> None:
    """Read the query of an old path by the operation's table, with defaults: it has no body."""
    query = call.query()
    found = {name: _from_query(row, query.get(name)) for name, row in table(call).items()}
    call.inputs = {name: value for name, value in found.items() if value is not None}


def usage_period(call: Call) -> Violation | None:
    """The period does not end before it starts, and spans at most the documented days."""
    start, end = moment(call, "start_time"), moment(call, "end_time")
    days = call.rules.wholes["usage_days"]
    if start is None or end is None or start > end:
        found = " to ".join(causes.typed(call.inputs.get(n)) for n in ("start_time", "end_time"))
        cause = f"start_time, end_time: found {found}, expected a period that does not end early"
        return Violation("bad_period", cause=cause)
    if end - start <= days * DAY:
        return None
    cause = (
        f"end_time: found {(end - start) / DAY:g} days after start_time, expected at most {days}"
    )
    return Violation("period_too_long", {"days": days}, cause=cause)


def table(call: Call) -> Mapping[str, Row]:
    """Return the operation's fields, in the order of the page."""
    rows: Any = call.rules.fact(f"parameters/{call.operation}")
    return rows  # type: ignore[no-any-return]  # the baseline's table, whose form a test checks


def whole(call: Call, name: str) -> int:
    """Return the whole number in a field; 0 if the field is absent."""
    return whole_number(call.inputs.get(name)) or 0


def text(call: Call, name: str) -> str | None:
    """Return the text in a field; None if the field is absent or empty."""
    value = call.inputs.get(name)
    return value if isinstance(value, str) and value else None


def texts(call: Call, name: str) -> list[str]:
    """Return the list of texts in a field; empty if the field is absent."""
    value = call.inputs.get(name)
    return value if isinstance(value, list) else []


def moment(call: Call, name: str) -> Instant | None:
    """Return an ISO 8601 time in a field."""
    value = text(call, name)
    return None if value is None else _instant(value)


def milliseconds(call: Call, name: str) -> Instant | None:
    """Return the time in a field that has milliseconds since the epoch as text."""
    value = text(call, name)
    return None if value is None else int(value) * _MICROSECONDS_PER_MILLISECOND


def _refused(call: Call, name: str, row: Row, value: object) -> Violation | None:
    if value is None or value == "":
        return missing(call, name, str(row["kind"])) if row.get("required") else None
    kind = str(row["kind"])
    if not _KINDS[kind](value):
        return bad_type(call, name, kind)
    allowed = row.get("allowed")
    if isinstance(allowed, tuple) and value not in allowed:
        cause = causes.wrong_choice(name, value, map(str, allowed))
        compared = {"name": name, "allowed": ", ".join(map(str, allowed))}
        return Violation("bad_choice", compared, cause=cause)
    return _out_of_bounds(name, row, whole_number(value))


def _out_of_bounds(name: str, row: Row, number: int | None) -> Violation | None:
    minimum, maximum = row.get("minimum"), row.get("maximum")
    if number is None:
        return None
    if isinstance(minimum, int) and number < minimum:
        cause = causes.wrong(name, number, f"at least {minimum}")
        compared = {"name": name, "minimum": minimum, "found": number}
        return Violation("too_small", compared, cause=cause)
    if isinstance(maximum, int) and number > maximum:
        cause = causes.wrong(name, number, f"at most {maximum}")
        compared = {"name": name, "maximum": maximum, "found": number}
        return Violation("too_big", compared, cause=cause)
    return None


def _from_query(row: Row, value: str | None) -> object:
    if value is None:
        return row.get("default")
    if row["kind"] == "whole" and _MILLISECONDS.fullmatch(value):
        return int(value)
    if row["kind"] == "texts":
        return value.split(",")
    return value == "true" if row["kind"] == "switch" else value


def _instant(value: str) -> Instant | None:
    try:
        return from_iso(value)
    except ValueError:
        return None


_KINDS: Mapping[str, Callable[[object], bool]] = {
    "text": lambda value: isinstance(value, str),
    "whole": lambda value: whole_number(value) is not None,
    "switch": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "texts": lambda value: isinstance(value, list) and all(isinstance(v, str) for v in value),
    "moment": lambda value: isinstance(value, str) and _instant(value) is not None,
    "milliseconds": lambda value: isinstance(value, str) and bool(_MILLISECONDS.fullmatch(value)),
}

CHECKS: Mapping[str, Check] = named(well_formed, query_as_inputs, usage_period)
