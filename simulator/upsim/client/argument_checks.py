"""Check the arguments of public functions; an invalid one raises ArgumentError before sending.

Each message names the argument, the accepted forms, and the given value. It also names the
intended value if that can be guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from numbers import Real

import msgspec

from upsim.client.exceptions import ArgumentError
from upsim.core.suggestions import nearest_to, shown, suggestion
from upsim.scenario.durations import micros_of, near_form

MAX_SECONDS = 10**9
"""Maximum seconds of an argument: more than thirty years, and no timer overflows."""
_LEADING_NUMBER = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)")


class Numbers(msgspec.Struct, frozen=True):
    """The numbers that an argument accepts, with an example."""

    example: str
    minimum: float = 0
    maximum: float | None = None
    whole: bool = False

    def __str__(self) -> str:
        """Return, for example, `a whole number from 1 up, such as 1080`."""
        most = "up" if self.maximum is None else f"to {self.maximum:,}"
        kind = "whole number" if self.whole else "number"
        return f"a {kind} from {self.minimum:,g} {most}, such as {self.example}"

    def holds(self, value: object) -> bool:
        """Return whether a value is one of these numbers."""
        if isinstance(value, bool) or not isinstance(value, Real):
            return False
        try:
            number = float(value)
        except OverflowError:
            return False
        most = math.inf if self.maximum is None else self.maximum
        return self.minimum <= number <= most and (not self.whole or number.is_integer())


SECONDS = Numbers("5", maximum=MAX_SECONDS)
REAL_SECONDS = Numbers("5", minimum=0.001, maximum=MAX_SECONDS)
"""Limits of a network time-out in seconds."""
LIMIT = Numbers("100", minimum=1, whole=True)
LINES = Numbers("1080", minimum=1, maximum=10**6, whole=True)
FACTOR = Numbers("2", minimum=1, maximum=10**6, whole=True)


def check_number(name: str, value: object, numbers: Numbers) -> None:
    """Check that a value is one of these numbers. Raises ArgumentError."""
    if not numbers.holds(value):
        meant = _number_in(value, is_time=numbers.maximum == MAX_SECONDS)
        hint = f"; did you mean {meant}?" if meant else ""
        raise ArgumentError(f"{name} is {numbers}, not {shown(value)}{hint}")


def check_text(name: str, value: object, example: str) -> str:
    """Return a text. Raises ArgumentError if it is empty or not a text."""
    if not (isinstance(value, str) and value):
        raise ArgumentError(f"{name} is a text such as {example}, not {shown(value)}")
    return value


def check_choice(name: str, value: object, allowed: Iterable[str]) -> None:
    """Check that a value is an allowed text.

    Raises ArgumentError with the nearest allowed text.
    """
    names = tuple(allowed)
    if not (isinstance(value, str) and value in names):
        near = suggestion(value, names) if isinstance(value, str) else ""
        hint = f"; {near}" if near else ""
        raise ArgumentError(f"{name} is one of {', '.join(names)}, not {_of_any_kind(value)}{hint}")


def check_secret(name: str, kind: type) -> None:
    """Check that a secret is a text or None. Raises ArgumentError without the value."""
    if not issubclass(kind, str | None):
        raise ArgumentError(f"{name} is a text, not {kind.__name__}")


def check_kind(name: str, value: object, kinds: type | tuple[type, ...], form: str) -> None:
    """Check the type of a value. Raises ArgumentError; `form` describes a valid value."""
    if not isinstance(value, kinds):
        raise ArgumentError(f"{name} is {form}, not {_of_any_kind(value)}")


def check_true(name: str, value: object, form: str, *, valid: bool) -> None:
    """Check that `valid` is true. Raises ArgumentError; `form` describes a valid value."""
    if not valid:
        raise ArgumentError(f"{name} is {form}, not {_of_any_kind(value)}")


def check_options(options: object) -> None:
    """Check that options are a mapping of names to values. Raises ArgumentError."""
    form = 'a mapping such as {"upscale_factor": "2"}'
    check_kind("options", options, Mapping, form)
    for name, value in options.items() if isinstance(options, Mapping) else ():
        check_kind("a name in options", name, str, "a text such as 'upscale_factor'")
        check_kind(f"options[{name!r}]", value, (str, int), "a text, a whole number or a bool")


def check_names(where: str, given: Mapping[str, object], known: Mapping[str, object]) -> None:
    """Check that a function has each given keyword. Raises ArgumentError without the values."""
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        hint = (
            nearest_to(unknown[0], known) if len(unknown) == 1 else f"allowed: {', '.join(known)}"
        )
        raise ArgumentError(f"no such {where}: {', '.join(unknown)}; {hint}")


def _of_any_kind(value: object) -> str:
    """Return a plain value as messages quote it; for any other object, return its type."""
    plain = isinstance(value, str | int | float | Mapping | list | tuple | None)
    return shown(value) if plain else type(value).__name__


def _number_in(value: object, *, is_time: bool) -> str:
    """Return the number that a text such as `1080p`, `2x` or `3h` probably means, or ""."""
    if not isinstance(value, str):
        return ""
    if is_time:
        time = micros_of(near_form(value))
        if time is not None:
            return f"{time / 10**6:g}"
    found = _LEADING_NUMBER.match(value)
    return found[1] if found else ""
