"""Pairs of two lists for tests, because all pairs would take too long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

First = TypeVar("First")
Second = TypeVar("Second")


def every_nth(
    firsts: Sequence[First], seconds: Sequence[Second], step: int
) -> Iterator[tuple[First, Second]]:
    """Yield every `step`-th pair, so that both lists come up evenly.

    Each member of `firsts` meets every `step`-th member of `seconds`, beginning one later than the
    member before it. From `step` members on, each member of one list meets one of the other.
    """
    for number, first in enumerate(firsts):
        for second in seconds[number % step :: step]:
            yield first, second
