"""Globs over texts that callers send: matched in a time that no text and no glob can stretch."""

from __future__ import annotations

from fnmatch import fnmatchcase

LONGEST_TEXT = 8_192
"""Characters of a text that a glob is compared with; of a longer text these are the first."""
LONGEST_GLOB = 1_000
"""Characters of a glob; a longer one fits the same text alone."""
MOST_STEPS = 200_000
"""Characters of a text times those of a glob with `?` or `[`, which may be tried one by one."""


def fits(text: str, glob: str) -> bool:
    """Whether a text fits a glob, in which `*`, `?` and `[...]` have their usual meaning.

    >>> fits("https://a.example/v.mp4", "https://*.mp4"), fits("abc", "a?c"), fits("abc", "b*")
    (True, True, False)
    """
    if len(glob) > LONGEST_GLOB:
        return text == glob
    if "?" in glob or "[" in glob:
        return fnmatchcase(text[: min(LONGEST_TEXT, MOST_STEPS // len(glob))], glob)
    first, *rest = glob.split("*")
    return _fits_parts(text[:LONGEST_TEXT], first, rest) if rest else text == glob


def _fits_parts(text: str, first: str, rest: list[str]) -> bool:
    """Whether a text holds the parts between stars one after the other, from end to end."""
    at, end = len(first), len(text) - len(rest[-1])
    if at > end or not (text.startswith(first) and text.endswith(rest[-1])):
        return False
    for part in rest[:-1]:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
