"""Suggest the known name that the user most likely meant, as a hint after a semicolon."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

CLOSE = 0.65
"""How alike two names must be (`difflib`) for one to be meant by the other."""
MAX_COMPARED_LENGTH = 200
"""Characters of a value of any length that are compared with names."""


def hint(name: object, known: Iterable[str]) -> str:
    """Return the nearest of the known names as a question, or list all of them.

    >>> hint("vicse", ["venice", "vicsee"])
    'did you mean vicsee?'
    >>> hint("other", ["venice", "vicsee"])
    'allowed: venice, vicsee'
    """
    names = list(known)
    found = near(name, names)
    return f"did you mean {found}?" if found else f"allowed: {', '.join(names) or 'none'}"


def near(name: object, known: Iterable[str]) -> str:
    """Return the most similar known name; empty if none is similar."""
    cut = str(name)[:MAX_COMPARED_LENGTH]
    return next(iter(get_close_matches(cut, list(known), n=1, cutoff=CLOSE)), "")
