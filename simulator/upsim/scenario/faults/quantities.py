"""Numbers and times as faults spell them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TypeGuard

from upsim.core.faults import Wait
from upsim.scenario.spelling import shown

MOST = 10**9
LONGEST_REAL = 60 * 10**6
LONGEST_WAIT = 366 * 86_400 * 10**6
_LONGEST_NUMBER = 40
_DURATION = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,6})?)(?P<unit>ms|s|m|h|d)\Z")
_MICROS = {"ms": 1000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86_400 * 10**6}


def is_whole(value: object, least: int = 0, most: int = MOST) -> TypeGuard[int]:
    """Whether a value is a whole number in these bounds."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def wrong_count(value: object, least: int = 1) -> str | None:
    """Why a value counts nothing, if so."""
    if is_whole(value, least):
        return None
    return f"{shown(value)} is not a whole number from {least} to {MOST}"


def decimal_of(value: object) -> Decimal | None:
    """The finite number that a value spells, if it does."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    if len(str(value)) > _LONGEST_NUMBER:
        return None
    try:
        found = Decimal(value)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def wait_of(value: object) -> Wait | None:
    """The time that `90s`, `{virtual: 90s}` or `{real: 50ms}` spells, if it does."""
    real = isinstance(value, Mapping) and list(value) == ["real"]
    if isinstance(value, Mapping):
        value = next(iter(value.values())) if real or list(value) == ["virtual"] else None
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        return None
    micros = int(Decimal(match["number"]) * _MICROS[match["unit"]])
    return Wait(micros, real) if 0 < micros <= (LONGEST_REAL if real else LONGEST_WAIT) else None
