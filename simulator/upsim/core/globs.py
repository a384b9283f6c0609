"""Match globs against texts from clients, in a time that stays short for any input."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache

MAX_TEXT_LENGTH = 8_192
"""Characters of a text that a glob is compared with; of a longer text these are the first."""
MAX_GLOB_LENGTH = 1_000
"""Characters of a glob; a longer one fits the same text alone."""
MAX_STEPS = 200_000
"""Characters of a text times those of a glob with `?` or `[`, which may be tried one by one."""

MAX_PATTERNS = 200
"""Globs with `?` or `[` of a scenario, or of the faults of a sandbox: each is a pattern to try."""
MAX_PATTERN_CHARACTERS = 8_000
"""Characters of these together: what is compiled when no pattern is kept any more."""
MAX_CHARACTERS = 100_000
"""Characters of all globs of a scenario, or of the faults of a sandbox, together."""


def fits(text: str, glob: str) -> bool:
    """Whether a text fits a glob, in which `*`, `?` and `[...]` have their usual meaning.

    >>> fits("https://a.example/v.mp4", "https://*.mp4"), fits("abc", "a?c"), fits("abc", "b*")
    (True, True, False)
    """
    if len(glob) > MAX_GLOB_LENGTH:
        return text == glob
    if "?" in glob or "[" in glob:
        beginning = text[: min(MAX_TEXT_LENGTH, MAX_STEPS // len(glob))]
        return _pattern(glob).match(beginning) is not None
    first, *rest = glob.split("*")
    return _fits_parts(text[:MAX_TEXT_LENGTH], first, rest) if rest else text == glob


def flaw(glob: str) -> str:
    """Return why a glob is misleading or matches no text; empty if it is valid.

    >>> flaw("*.mp4"), flaw("a[bc].mp4"), flaw("[z-a]*"), flaw("a[b")
    ('', '', '[z-a] fits no character', 'the [ is not closed; write [[] for a literal bracket')
    """
    if len(glob) > MAX_GLOB_LENGTH and any(sign in glob for sign in "*?["):
        most = MAX_GLOB_LENGTH
        return f"it is longer than {most} characters, so its signs are taken literally"
    at = glob.find("[")
    while at >= 0:
        start = at + 2 if glob[at + 1 : at + 2] == "!" else at + 1
        end = glob.find("]", start + 1)
        if end < 0:
            return "the [ is not closed; write [[] for a literal bracket"
        if "(?!)" in translate(glob[at : end + 1]):
            return f"{glob[at : end + 1]} fits no character"
        at = glob.find("[", end + 1)
    return ""


def excess(globs: Iterable[str]) -> str:
    """Return why these globs exceed the limits of a scenario or sandbox; empty if they do not.

    The patterns are compiled here, so that the first matching request is not delayed.
    """
    found = [glob for glob in globs if len(glob) <= MAX_GLOB_LENGTH and set(glob) & {*"*?["}]
    patterns = [glob for glob in found if "?" in glob or "[" in glob]
    for number, most, what in (
        (len(patterns), MAX_PATTERNS, "globs with ? or ["),
        (sum(map(len, patterns)), MAX_PATTERN_CHARACTERS, "characters in globs with ? or ["),
        (sum(map(len, found)), MAX_CHARACTERS, "characters in globs"),
    ):
        if number > most:
            return f"there are {number} {what} in all; at most {most} are allowed"
    for glob in patterns:
        _pattern(glob)
    return ""


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    """Return a glob as a compiled pattern; `fnmatch` caches only 256 before Python 3.12."""
    return re.compile(translate(glob))


def _fits_parts(text: str, first: str, rest: list[str]) -> bool:
    """Return whether a text consists of the parts between the stars, in their order."""
    at, end = len(first), len(text) - len(rest[-1])
    if at > end or not (text.startswith(first) and text.endswith(rest[-1])):
        return False
    for part in rest[:-1]:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
