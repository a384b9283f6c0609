"""The test method of a machine's `TestCase`, which shows failures at the user's own class."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from hypothesis.stateful import RuleBasedStateMachine

_Machine = TypeVar("_Machine", bound=RuleBasedStateMachine)


def show_at_class(machine: type[_Machine], run: Callable[..., None]) -> None:
    """Make the machine's test call `run`, so that pytest shows the class instead of kit code."""
    case = machine.TestCase
    test = lambda case: run(machine, settings=case.settings)  # noqa: E731 - one line, one place
    place = _place_of(machine)
    if place is not None:
        file, line = place
        test.__code__ = test.__code__.replace(co_filename=file, co_firstlineno=line)
    case.runTest = wraps(case.runTest)(test)  # type: ignore[assignment, method-assign]


def _place_of(machine: type[Any]) -> tuple[str, int] | None:
    """Return file and line of a class; None for a class without source."""
    try:
        return inspect.getfile(machine), inspect.getsourcelines(machine)[1]
    except (OSError, TypeError):
        return None
