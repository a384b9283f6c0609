"""Durations in scenarios: `250ms`, `90s`, `10m`, `3h`, `2d`, or several units: `2m30s`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from upsim.core.numbers import plain_decimal

_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
DURATION = re.compile(
    rf"(?=[0-9])(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m(?!s))?(?:{_NUMBER}s)?(?:{_NUMBER}ms)?\Z"
)
"""A duration with one or several units, the largest first."""
_PART = re.compile(rf"(?P<number>{_NUMBER})(?P<unit>ms|s|m|h|d)")
MICROS = {"ms": 1_000, "s": 10**6, "m": 60 * 10**6, "h": 3_600 * 10**6, "d": 86_400 * 10**6}


MAX_LENGTH = 40
_CLOCK = re.compile(r"(?:([0-9]{1,4}):)?([0-9]{1,4}):([0-9]{2})")
_WORDED = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([a-z]+)")
_UNITS: Mapping[str, str] = {
    word: unit
    for unit, words in {
        "ms": "ms msec msecs milli millis millisecond milliseconds",
        "s": "s sec secs second seconds",
        "m": "m min mins minute minutes",
        "h": "h hr hrs hour hours",
        "d": "d day days",
    }.items()
    for word in words.split()
}
"""Names of units that people write, for each unit of files."""
EXAMPLES = "90, 2.5, 250ms, 90s, 10m, 3h, 2d or 2m30s"


def parse_seconds(value: object) -> Decimal:
    """Return the seconds of a number or of a duration with units. Raises ValueError."""
    text = str(value)
    found = None if isinstance(value, bool) or len(text) > MAX_LENGTH else _seconds_in(value)
    if found is None:
        shown = repr(text[:MAX_LENGTH])
        raise ValueError(f"{shown} is not a duration such as {EXAMPLES}{meant_time(value)}")
    return found


def meant_time(value: object) -> str:
    """Return a question such as "did you mean 3h?" to append to a message; else an empty string.

    >>> meant_time("3 hours"), meant_time("1:30"), meant_time("soon")
    ('; did you mean 3h?', '; did you mean 90s?', '')
    """
    near = near_form(value) if isinstance(value, str) else ""
    return f"; did you mean {near}?" if near and near != value else ""


def near_form(text: str) -> str:
    """Return a duration in the format of scenario files for another known format; else "".

    >>> near_form("90 sec"), near_form("1 h 30 min"), near_form("PT1H"), near_form("01:00:00")
    ('90s', '1h30m', '1h', '3600s')
    """
    if len(text) > MAX_LENGTH:
        return ""
    plain = text.strip().lower()
    clock = _CLOCK.fullmatch(plain)
    if clock is not None:
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return f"{3600 * hours + 60 * minutes + seconds}s"
    parts = _WORDED.findall(plain.removeprefix("pt"))
    written = "".join(f"{number}{_UNITS.get(word, '?')}" for number, word in parts)
    whole = "".join(f"{number}{word}" for number, word in parts)
    told = re.sub(r"\s|\band\b", "", plain.removeprefix("pt"))
    return written if whole == told and DURATION.match(written) else ""


def _seconds_in(value: object) -> Decimal | None:
    if isinstance(value, int | float | Decimal):
        found = Decimal(str(value))
        return found if found.is_finite() else None
    text = str(value)
    micros = _micros_in(text)
    return plain_decimal(text) if micros is None else micros / 10**6


def micros_of(value: object) -> int | None:
    """Return the microseconds of a duration with units; None for any other value."""
    found = _micros_in(str(value))
    return None if found is None else int(found)


def seconds_of(value: str | int | Decimal) -> Decimal:
    """Return the seconds of a duration with units, or of a number of seconds."""
    found = _micros_in(str(value))
    return Decimal(value) if found is None else found / 10**6


def _micros_in(text: str) -> Decimal | None:
    if DURATION.match(text) is None:
        return None
    parts = _PART.finditer(text)
    return sum((Decimal(part["number"]) * MICROS[part["unit"]] for part in parts), Decimal(0))
