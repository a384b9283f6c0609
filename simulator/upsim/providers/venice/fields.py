"""Violations of single fields, as Venice's validator words them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from upsim.core.checks import Violation, kind_of

_SHOWN = 100
"""Characters of a caller's value that an answer repeats."""


def missing(field: str) -> Violation:
    """A field that must be there is not."""
    return Violation("field_missing", {"field": field})


def wrong_type(field: str, expected: str, value: object) -> Violation:
    """A field holds another JSON type than `expected`."""
    found = {"field": field, "expected": expected, "found": kind_of(value)}
    return Violation("field_type", found)


def wrong_value(field: str, allowed: Iterable[str], value: object) -> Violation:
    """A field holds none of the allowed values."""
    shown = str(value)[:_SHOWN]
    return Violation(
        "field_value", {"field": field, "expected": " | ".join(allowed), "found": shown}
    )


def wrong_text(field: str, allowed: Iterable[str], value: str) -> Violation:
    """A field holds none of the allowed texts, which are shown in quotes."""
    return wrong_value(field, (f"'{text}'" for text in allowed), f"'{value[:_SHOWN]}'")


def out_of_range(field: str) -> Violation:
    """A field has the right type, and a value that cannot be used."""
    return Violation("field_range", {"field": field})


def number(value: object) -> Decimal | None:
    """A JSON number, exactly; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return Decimal(str(value)) if isinstance(value, float) else Decimal(value)
