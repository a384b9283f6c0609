"""Sentences about names that do not exist, with the nearest one that does."""

from __future__ import annotations

from collections.abc import Iterable

from upsim.core.nearest import LONGEST_COMPARED, closest

LONGEST_SHOWN = 80
"""Characters of a value of any length that a message quotes."""


def nearest(name: str, known: Iterable[str], otherwise: str = "there are ") -> str:
    """The nearest of the known names as a question, or all of them."""
    names = tuple(known)
    return suggestion(name, names) or f"{otherwise}{', '.join(names) or 'none'}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """The nearest of the known names as a question; empty where none is near."""
    near = closest(name, known)
    return f"did you mean {near}?" if near else ""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """A sentence about a name that does not exist: the nearest one, or all there are."""
    return f"unknown {what} {name!r}; {nearest(name, known)}"


def nearest_to(value: object, known: Iterable[str]) -> str:
    """As `nearest`, of a value of any kind and length."""
    return nearest(str(value)[:LONGEST_COMPARED], known)


def unknown_value(what: str, value: object, known: Iterable[str]) -> str:
    """As `unknown`, of a value of any kind and length."""
    return f"unknown {what} {shown(value)}; {nearest_to(value, known)}"


def shown(value: object) -> str:
    """A value of any kind and length as a message quotes it."""
    text = str(value)
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")
