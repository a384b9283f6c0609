"""The known name that somebody most likely meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache

CLOSE = 0.6
"""How alike two names must be (`difflib`) for one to be meant by the other."""
LONGEST_COMPARED = 200
"""Characters of a value of any length that are compared with names."""
_LEAST = 3
"""Letters that a name has at least which counts as a part of another."""


def closest(name: str, known: Iterable[str]) -> str:
    """The nearest of the known names; empty where none is near."""
    return _near(name[:LONGEST_COMPARED], tuple(known))


@lru_cache(maxsize=4096)
def _near(name: str, names: tuple[str, ...]) -> str:
    """The nearest of some names, or nothing. Only those are compared whose lengths let them be."""
    least, most = CLOSE * len(name) / (2 - CLOSE) - 1, (2 - CLOSE) * len(name) / CLOSE + 1
    fitting = [known for known in names if least < len(known) < most]
    return next(iter(get_close_matches(name, fitting, n=1, cutoff=CLOSE)), "")


def nearest_of(name: str, known: Iterable[str]) -> str:
    """The dotted name that ends with this one, is spelt nearly so, or holds it; else nothing."""
    lasts = {one.rpartition(".")[2]: one for one in reversed([*known])}
    cut = name[:LONGEST_COMPARED]
    near = closest(cut, lasts)
    holding = [one for one in sorted(lasts) if len(cut) >= _LEAST and cut.lower() in one.lower()]
    return next((lasts[one] for one in (near, *holding) if one), "")
