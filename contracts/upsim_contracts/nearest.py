"""The known name that somebody most likely meant, as a hint behind a semicolon."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

CLOSE = 0.65
"""How alike two names must be (`difflib`) for one to be meant by the other."""
MAX_COMPARED_LENGTH = 200
"""Characters of a value of any length that are compared with names."""


def hint(name: object, known: Iterable[str]) -> str:
    """Return the nearest of the known names as a question, or all of them.

    >>> hint("vicse", ["venice", "vicsee"])
    'did you mean vicsee?'
    >>> hint("other", ["venice", "vicsee"])
    'there are venice, vicsee'
    """
    names = list(known)
    near = get_close_matches(str(name)[:MAX_COMPARED_LENGTH], names, n=1, cutoff=CLOSE)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'none'}"
