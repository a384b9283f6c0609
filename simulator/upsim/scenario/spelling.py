"""Sentences about names that do not exist, with the nearest one that does."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str], otherwise: str = "there are ") -> str:
    """The nearest of the known names as a question, or all of them."""
    names = list(known)
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"{otherwise}{', '.join(names) or 'none'}"


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """A sentence about a name that does not exist: the nearest one, or all there are."""
    return f"unknown {what} {name!r}; {nearest(name, known)}"
