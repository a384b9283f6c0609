"""Numbers and durations in faults."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeGuard

from upsim.core.faults import Wait
from upsim.core.numbers import plain_decimal
from upsim.core.suggestions import shown
from upsim.scenario.durations import micros_of

MOST = 10**9
MAX_REAL_SECONDS = 60 * 10**6
MAX_WAIT = 366 * 86_400 * 10**6
_MAX_NUMBER_LENGTH = 40


def is_whole(value: object, least: int = 0, most: int = MOST) -> TypeGuard[int]:
    """Return whether a value is a whole number within these limits."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def wrong_count(value: object, least: int = 1) -> str | None:
    """Return the reason why a value is not a valid count; None if it is valid."""
    if is_whole(value, least):
        return None
    return f"{shown(value)} is not a whole number from {least} to {MOST}"


def decimal_of(value: object) -> Decimal | None:
    """Return the finite number of a value; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    if isinstance(value, str):
        return plain_decimal(value)
    found = Decimal(value)
    return found if found.is_finite() and len(str(value)) <= _MAX_NUMBER_LENGTH else None


def wait_of(value: object) -> Wait | None:
    """Return the wait that `90s`, `{virtual: 90s}` or `{real: 50ms}` means, or else None."""
    real = isinstance(value, Mapping) and list(value) == ["real"]
    if isinstance(value, Mapping):
        value = next(iter(value.values())) if real or list(value) == ["virtual"] else None
    micros = micros_of(value) if isinstance(value, str) else None
    if micros is None:
        return None
    return Wait(micros, real) if 0 < micros <= (MAX_REAL_SECONDS if real else MAX_WAIT) else None
