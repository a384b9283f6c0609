"""Times as scenarios write them: `250ms`, `90s`, `10m`, `3h`, `2d`, or several units: `2m30s`."""

from __future__ import annotations

import re
from decimal import Decimal

from upsim.core.numbers import plain_decimal

_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
DURATION = re.compile(
    rf"(?=[0-9])(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m(?!s))?(?:{_NUMBER}s)?(?:{_NUMBER}ms)?\Z"
)
"""A time with its unit, or with several, the largest first."""
_PART = re.compile(rf"(?P<number>{_NUMBER})(?P<unit>ms|s|m|h|d)")
MICROS = {"ms": 1_000, "s": 10**6, "m": 60 * 10**6, "h": 3_600 * 10**6, "d": 86_400 * 10**6}


MAX_LENGTH = 40
EXAMPLES = "90, 2.5, 250ms, 90s, 10m, 3h, 2d or 2m30s"


def parse_seconds(value: object) -> Decimal:
    """The seconds of a number, or of a time with its unit. Raises ValueError with the forms."""
    text = str(value)
    found = None if isinstance(value, bool) or len(text) > MAX_LENGTH else _seconds_in(value)
    if found is None:
        shown = repr(text[:MAX_LENGTH])
        raise ValueError(f"{shown} is not a time such as {EXAMPLES}")
    return found


def _seconds_in(value: object) -> Decimal | None:
    if isinstance(value, int | float | Decimal):
        found = Decimal(str(value))
        return found if found.is_finite() else None
    text = str(value)
    micros = _micros_in(text)
    return plain_decimal(text) if micros is None else micros / 10**6


def micros_of(value: object) -> int | None:
    """The microseconds of a time with its unit, if it is one."""
    found = _micros_in(str(value))
    return None if found is None else int(found)


def seconds_of(value: str | int | Decimal) -> Decimal:
    """The seconds of a time that is written with its unit, or as a number of seconds."""
    found = _micros_in(str(value))
    return Decimal(value) if found is None else found / 10**6


def _micros_in(text: str) -> Decimal | None:
    if DURATION.match(text) is None:
        return None
    parts = _PART.finditer(text)
    return sum((Decimal(part["number"]) * MICROS[part["unit"]] for part in parts), Decimal(0))
