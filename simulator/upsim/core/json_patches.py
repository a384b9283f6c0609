"""Read and replace values at dotted paths of a JSON document, for faults that patch responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from upsim.core.nearest_names import nearest_of

_MAX_PLACE_LENGTH = 9
ABSENT = object()
"""What is at a path that leads nowhere."""


def value_at(document: object, path: str) -> object:
    """Return the value at a dotted path of a document; numbers are indexes of lists."""
    for part in path.split("."):
        document = _inside(document, part)
        if document is ABSENT:
            break
    return document


def _inside(document: object, part: str) -> object:
    """Return an item of a mapping or list by name or index; `ABSENT` if it is missing."""
    if isinstance(document, Mapping):
        return document.get(part, ABSENT)
    if isinstance(document, Sequence) and _is_place(document, part):
        return document[int(part)]
    return ABSENT


def is_patched(document: object, fields: Sequence[tuple[str, object]]) -> bool:
    """Whether the document has a value at any of these paths."""
    return any(value_at(document, path) is not ABSENT for path, _ in fields)


def near_path(document: object, path: str) -> str:
    """Return an existing path that is spelt like a missing path; empty if there is none."""
    part, *rest = path.split(".")
    head: list[str] = []
    while rest and isinstance(document, Mapping) and part in document:
        document = document[part]
        head.append(part)
        part = rest.pop(0)
    fields = _names(document)
    below = (f"{name}.{last}" for name, inner in fields.items() for last in _names(inner))
    near = nearest_of(part, [*map(str, fields), *below])
    return ".".join((*head, near, *rest)) if near else ""


def _names(value: object) -> Mapping[object, object]:
    return value if isinstance(value, Mapping) else {}


def patched(document: object, fields: Sequence[tuple[str, object]]) -> object:
    """Return the document with other values at these paths; the document itself is not changed.

    Each mapping and list is copied at most once, however many fields it has.
    """
    copies: set[int] = set()
    root = [document]
    for path, value in fields:
        _put(root, ["0", *path.split(".")], value, copies)
    return root[0]


def _put(root: list[object], path: Sequence[str], value: object, copies: set[int]) -> None:
    """Set a value at a path below `root`, and copy the containers on the way.

    `copies` holds the ids of the containers that are copies already.
    """
    inner: Any = root
    *parents, last = path
    if not _leads(root, parents, last):
        return
    for part in parents:
        key = part if isinstance(inner, Mapping) else int(part)
        below = inner[key]
        if id(below) not in copies:
            below = {**below} if isinstance(below, Mapping) else [*below]
            copies.add(id(below))
            inner[key] = below
        inner = below
    inner[last if isinstance(inner, Mapping) else int(last)] = value


def _leads(document: object, parents: Sequence[str], last: str) -> bool:
    """Return whether a value can be set at a path; only mappings accept new names."""
    for part in parents:
        document = _inside(document, part)
    listed = isinstance(document, Sequence) and _is_place(document, last)
    return isinstance(document, Mapping) or listed


def _is_place(document: Sequence[object], part: str) -> bool:
    listed = not isinstance(document, str | bytes)
    number = part.isascii() and part.isdecimal() and len(part) <= _MAX_PLACE_LENGTH
    return listed and number and int(part) < len(document)
