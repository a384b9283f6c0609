"""Violations of single fields, in the wording of Venice's validator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from upsim.core import causes
from upsim.core.checks import Violation
from upsim.core.nearest_names import nearest_of

SHOWN = 100
"""Characters of a client's value that a response repeats."""


def missing(field: str, inputs: Mapping[str, object], expected: str) -> Violation:
    """Return the violation of a required field that is missing or null."""
    cause = causes.of(field, inputs, expected)
    return Violation("field_missing", {"field": field}, cause=cause)


def wrong_type(field: str, expected: str, value: object) -> Violation:
    """Return the violation of a field whose JSON type is not `expected`."""
    found = {"field": field, "expected": expected, "found": causes.kind_of(value)}
    cause = causes.wrong(field, value, f"a value of type {expected}")
    return Violation("field_type", found, cause=cause)


def wrong_number(field: str, allowed: Iterable[str], value: object) -> Violation:
    """Return the violation of a field whose value is not one of the allowed numbers."""
    choices = tuple(allowed)
    cause = causes.wrong_choice(field, value, choices, "number")
    return _wrong_value(field, choices, str(value)[:SHOWN], cause)


def wrong_text(field: str, allowed: Iterable[str], value: str) -> Violation:
    """Return the violation of a field whose value is not one of the allowed strings (quoted)."""
    choices = tuple(allowed)
    cause = causes.wrong_choice(field, value, choices)
    return _wrong_value(field, (f"'{text}'" for text in choices), f"'{value[:SHOWN]}'", cause)


def out_of_range(field: str, value: object, expected: str) -> Violation:
    """Return the violation of a field with the right type and an invalid value."""
    return Violation("field_range", {"field": field}, cause=causes.wrong(field, value, expected))


def unrecognized(field: str, known: Iterable[str], name: str = "field_unrecognized") -> Violation:
    """Return the violation of an unknown field."""
    names = tuple(known)
    near = nearest_of(field, names)
    meant = f"; did you mean {near}?" if near else f", expected {', '.join(names)}"
    cause = f"{causes.quoted(field)}: found a field that is not known{meant}"
    return Violation(name, {"field": field}, cause=cause)


def number(value: object) -> Decimal | None:
    """Return a JSON number as an exact decimal; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return Decimal(str(value)) if isinstance(value, float) else Decimal(value)


def _wrong_value(field: str, expected: Iterable[str], found: str, cause: str) -> Violation:
    values = {"field": field, "expected": " | ".join(expected), "found": found}
    return Violation("field_value", values, cause=cause)
