"""The known name that a caller most likely meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_COMPARED = 100
"""Characters of a caller's name that are compared."""
_LEAST = 3
"""Letters that a name has at least which counts as a part of another."""


def nearest_of(name: str, known: Iterable[str]) -> str:
    """The dotted name that ends with this one, is spelt nearly so, or holds it; else nothing."""
    lasts = {one.rpartition(".")[2]: one for one in reversed([*known])}
    cut = name[:_COMPARED]
    close = get_close_matches(cut, lasts, n=1)
    holding = [one for one in sorted(lasts) if len(cut) >= _LEAST and cut.lower() in one.lower()]
    return next((lasts[one] for one in (*close, *holding)), "")
