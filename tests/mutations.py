"""One-value mutations of documents: every place of a document, and values to put there."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

DEEP: list[Any] = []
for _ in range(500):
    DEEP = [DEEP]
VALUES: Sequence[object] = (
    *(None, True, 0, -1, 7, 10**30, 10**400, 1.5, "", "x", "\0", "NaN", "1e999999999", "-1", "1/0"),
    *("9999-99-99T99:99:99Z", "http://[", "data:;base64,é", "${HOME}", "é\u2028\x1b", "@x", "../x"),
    *([], {}, [None], {"a": 1}, [[1]], {"json": None, "text": "x"}, DEEP),
)
GONE = object()
"""A value that is left out."""


def places(value: object, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield every place of a document, the whole of it first."""
    yield here
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield from places(item, (*here, key))


def replaced(document: Any, place: tuple[Any, ...], value: object) -> Any:  # noqa: ANN401 - JSON
    """Return a copy of a document with another value at one place, or with none there."""
    found = copy.deepcopy(document)
    *path, last = place
    inner = found
    for step in path:
        inner = inner[step]
    if value is GONE:
        del inner[last]
    else:
        inner[last] = value
    return found
