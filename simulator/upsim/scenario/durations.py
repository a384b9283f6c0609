"""Times as scenarios write them: `250ms`, `90s`, `10m`, `3h`, `2d`."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

DURATION = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?)(?P<unit>ms|s|m|h|d)\Z")
"""A time with its unit."""
MICROS = {"ms": 1_000, "s": 10**6, "m": 60 * 10**6, "h": 3_600 * 10**6, "d": 86_400 * 10**6}


MAX_LENGTH = 40
EXAMPLES = "90, 2.5, 250ms, 90s, 10m, 3h or 2d"


def parse_seconds(value: object) -> Decimal:
    """The seconds of a number, or of a time with its unit. Raises ValueError with the forms."""
    text = str(value)
    found = None if isinstance(value, bool) or len(text) > MAX_LENGTH else _seconds_in(text)
    if found is None:
        shown = repr(text[:MAX_LENGTH])
        raise ValueError(f"{shown} is not a time such as {EXAMPLES}")
    return found


def _seconds_in(text: str) -> Decimal | None:
    try:
        found = seconds_of(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def micros_of(value: object) -> int | None:
    """The microseconds of a time with its unit, if it is one."""
    found = DURATION.match(str(value))
    return None if found is None else int(Decimal(found["number"]) * MICROS[found["unit"]])


def seconds_of(value: str | int | Decimal) -> Decimal:
    """The seconds of a time that is written with its unit, or as a number of seconds."""
    found = DURATION.match(str(value))
    if found is None:
        return Decimal(value)
    return Decimal(found["number"]) * MICROS[found["unit"]] / 10**6
