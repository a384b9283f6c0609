"""Messages about unknown names, with the most similar known name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice

from upsim.core.nearest_names import MAX_COMPARED_LENGTH, closest

MAX_SHOWN_LENGTH = 80
"""Number of characters of a value that a message quotes."""
MAX_SHOWN_DEPTH, MAX_SHOWN = 3, 10
"""Number of levels of a mapping or list that a message shows, and of parts of each."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./*-]*")
"""Texts that a file contains without quotes."""


def suggest(name: str, known: Iterable[str], otherwise: str = "allowed: ") -> str:
    """Return a question with the most similar known name, or else a list of all known names."""
    names = tuple(known)
    return suggestion(name, names) or f"{otherwise}{', '.join(names) or 'none'}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a question with the most similar known name; empty if no other name is similar."""
    near = closest(name, known)
    return f"did you mean {near}?" if near not in ("", name) else ""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Return a message about an unknown name, with the nearest known name or all of them."""
    return f"unknown {what} {name!r}; {suggest(name, known)}"


def nearest_to(value: object, known: Iterable[str]) -> str:
    """Return `suggest` for a value of any type and length; a number is compared as text."""
    names = tuple(known)
    if not isinstance(value, str) and str(value) in names:
        return f'did you mean the text "{value}"?'
    return suggest(str(value)[:MAX_COMPARED_LENGTH], names)


def unknown_value(what: str, value: object, known: Iterable[str]) -> str:
    """Return `unknown` for a value of any type and length."""
    return f"unknown {what} {shown(value)}; {nearest_to(value, known)}"


def shown(value: object) -> str:
    """Return a value of any type for a message: strings in quotes, long values shortened."""
    if isinstance(value, str):
        return repr(value if len(value) <= MAX_SHOWN_LENGTH else f"{value[:MAX_SHOWN_LENGTH]}…")
    written = _written(value, 0)
    return written if len(written) <= MAX_SHOWN_LENGTH else f"{written[:MAX_SHOWN_LENGTH]}…"


def _written(value: object, depth: int) -> str:
    """Return a value as a file would contain it; deep or long parts are left out."""
    if isinstance(value, str):
        plain = len(value) <= MAX_SHOWN_LENGTH and _PLAIN.fullmatch(value)
        return value if plain else repr(value[:MAX_SHOWN_LENGTH])
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping | list | tuple) and depth == MAX_SHOWN_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        some = islice(value.items(), MAX_SHOWN)
        parts = [f"{_written(key, depth + 1)}: {_written(item, depth + 1)}" for key, item in some]
        return f"{{{', '.join(parts)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_written(item, depth + 1) for item in value[:MAX_SHOWN])}]"
    return str(value)
