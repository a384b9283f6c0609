"""Values that `upsim replay --pytest` writes as code."""

from __future__ import annotations

import ast

import pytest

from upsim.web.replay.python_literals import literal


@pytest.mark.parametrize("levels", [0, 10, 30, 59])
def test_deep_lists_of_numbers_are_written(levels: int) -> None:
    """A list of numbers is written correctly at any depth of nesting."""
    value: object = [1] * 60
    for _ in range(levels):
        value = {"a": value}
    assert value == ast.literal_eval(literal(value, 8))


def test_long_numbers_stay_in_one_piece() -> None:
    """A negative number or one longer than a line is never split."""
    value = [10**300, -(10**300), *range(-40, 0)]

    assert value == ast.literal_eval(literal(value, 8))
