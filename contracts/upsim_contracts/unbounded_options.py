"""Options above every documented value, whose price is unlimited.

A request that its provider should refuse costs nothing if it is refused. If the provider
accepts it after all, it costs at most as much as the most expensive job. The exception is an
option above every documented value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([a-z]*)")
_MIN_VALUES = 2
Sizes = Mapping[str, Decimal]
"""The largest documented number of each unit: of `720p`, `1080p` and `4k`, 1080 for p, 4 for k."""


def size_options(options: Iterable[Mapping[str, str]]) -> dict[str, Sizes]:
    """Return the largest sizes of each option with at least two documented values, all sizes."""
    values: dict[str, set[str]] = {}
    for one in options:
        for name, value in one.items():
            values.setdefault(name, set()).add(value.lower())
    return {
        name: _largest(found)
        for name, found in values.items()
        if len(found) >= _MIN_VALUES and all(map(_SIZE.fullmatch, found))
    }


def asks_for_more(fields: object, documented: Mapping[str, Sizes]) -> bool:
    """Return whether an option in a body exceeds its largest documented value."""
    return any(
        _exceeds(str(value).strip().lower(), documented[name])
        for names, value in option_leaves(fields)
        for name in names & documented.keys()
    )


def option_leaves(
    value: object, names: frozenset[str] = frozenset()
) -> Iterator[tuple[set[str], object]]:
    """Yield the plain values in a body, each with the names of all fields around it."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from option_leaves(inner, names | {str(name)})
    elif isinstance(value, list):
        for inner in value:
            yield from option_leaves(inner, names)
    else:
        yield set(names), value


def _largest(values: Iterable[str]) -> Sizes:
    found: dict[str, Decimal] = {}
    for value in values:
        size = _SIZE.fullmatch(value)
        if size is not None:
            found[size[2]] = max(found.get(size[2], Decimal(0)), Decimal(size[1]))
    return found


def _exceeds(text: str, known: Sizes) -> bool:
    """Return whether a text exceeds the largest documented size.

    A number without a unit is compared with the largest limit of any unit. A number with an unknown
    unit is compared with the smallest limit.
    """
    numbers = [Decimal(one) for one in _NUMBER.findall(text)]
    size = _SIZE.fullmatch(text)
    if size is not None and size[2] in known:
        most = known[size[2]]
    else:
        most = (max if size is not None and not size[2] else min)(known.values())
    return any(one > most for one in numbers)
