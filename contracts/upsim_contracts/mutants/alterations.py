"""Every small change of a document of mappings, lists and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

Kind = Literal[
    "number", "text", "flag", "null", "choice", "item", "added", "order", "key", "added by hand"
]
"""What was changed: a value by its type, a knob's choice, an item of a list or their order, a key.

`item` is one taken away, `added` one too many.
"""
ASIDE = ("evidence",)
"""Where facts come from: what a value is believed for, not what it is."""
SHAPE = frozenset(
    [
        "provider",
        "title",
        "summary",
        "sources",
        "hosts",
        "auth",
        "account",
        "plans",
        "models",
        "limits",
        "polling",
        "retention",
        "statuses",
        "headers",
        "webhooks",
        "refund",
        "errors",
        "failures",
        "checks",
        "default_media",
        "dialects",
        "knobs",
        "facts",
        "value",
        "values",
        "guide",
        "status",
        "code",
        "message",
        "extra",
        "variants",
        "when",
        "evidence",
        "name",
        "options",
        "billing",
        "unit",
        "quantity",
        "rate",
        "lifecycle",
        "phases",
        "output",
        "audio",
        "opening",
        "plan",
        "header",
        "scheme",
        "states",
        "after",
    ]
)
"""Keys of the format of baselines itself, which are the provider's only inside of values."""
A_DAY = "86400"
FINE = Decimal("0.01")
NOTHING = "nothing"
BEFORE = "the row before"


@dataclass(frozen=True, slots=True)
class Alteration:
    """One change: the value at `path` becomes `whole`, or its key becomes `renamed`.

    `below` is the further path to the changed value, where `said` replaces `true`.
    """

    path: tuple[str, ...]
    below: tuple[str, ...]
    true: object
    said: object
    whole: object
    kind: Kind
    renamed: str | None = None


def alterations(document: Mapping[str, Any]) -> Iterator[Alteration]:
    """Yield every small change of a baseline, one at a time."""
    yield from _of_mapping((), document)


def _of_mapping(path: tuple[str, ...], node: Mapping[str, Any]) -> Iterator[Alteration]:
    knob = "guide" in node and "values" in node
    for name, inner in node.items():
        here = (*path, str(name))
        if name in ASIDE:
            continue
        if path and name not in SHAPE:
            renamed = f"{name}x"
            yield Alteration(
                here, (), true=name, said=renamed, whole=inner, kind="key", renamed=renamed
            )
        if isinstance(inner, Mapping):
            yield from _of_mapping(here, inner)
        elif knob and inner in node["values"]:
            for other in node["values"]:
                if other != inner:
                    yield Alteration(here, (), inner, other, other, "choice")
        else:
            for below, true, said, whole, kind in _of_value(inner):
                yield Alteration(here, below, true, said, whole, kind)


Change = tuple[tuple[str, ...], object, object, object, Kind]
"""The place of a change below a value, the true value, the changed one, the whole, the kind."""


def _of_value(value: object) -> Iterator[Change]:
    if isinstance(value, list):
        yield from _of_list(value)
    else:
        for false, kind in _others(value):
            yield (), value, false, false, kind


def _of_list(rows: Sequence[object]) -> Iterator[Change]:
    for number, row in enumerate(rows):
        rest = [*rows[:number], *rows[number + 1 :]]
        yield (str(number),), row, NOTHING, rest, "item"
        if isinstance(row, Mapping):
            for below, true, false, whole, kind in _of_row(row):
                changed = [*rows[:number], whole, *rows[number + 1 :]]
                yield (str(number), *below), true, false, changed, kind
            if number:
                swapped = [*rows[: number - 1], row, rows[number - 1], *rows[number + 1 :]]
                yield (str(number),), row, BEFORE, swapped, "order"
    other = next((said for row in rows[:1] for said, _ in _others(row)), "x")
    if not any(isinstance(row, Mapping) for row in rows):
        yield (), rows, [*rows, other], [*rows, other], "added"


def _of_row(row: Mapping[str, Any]) -> Iterator[Change]:
    """Yield the changes of a mapping in a list."""
    for name, value in row.items():
        if name in ASIDE:
            continue
        inner = _of_row(value) if isinstance(value, Mapping) else _of_value(value)
        for below, true, false, whole, kind in inner:
            yield (name, *below), true, false, {**row, name: whole}, kind


def _others(value: object) -> Iterator[tuple[object, Kind]]:
    if isinstance(value, bool):
        yield not value, "flag"
    elif isinstance(value, int):
        for other in dict.fromkeys((value + 1, value - 1, value * 2)):
            if other != value:
                yield other, "number"
    elif isinstance(value, str):
        yield from _other_texts(value)
    elif value is None:
        yield A_DAY, "null"


def _other_texts(text: str) -> Iterator[tuple[str, Kind]]:
    try:
        number = Decimal(text)
    except InvalidOperation:
        yield f"{text}x", "text"
        return
    step = Decimal((0, (1,), int(number.as_tuple().exponent)))
    steps = {step, FINE} if step == 1 else {step}
    others = [number + sign * size for size in sorted(steps, reverse=True) for sign in (1, -1)]
    for other in dict.fromkeys((*others, number * 2)):
        if other != number:
            yield f"{other:f}", "number"
