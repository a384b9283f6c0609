"""Repair a broken file for further validation: replace each invalid part by a stand-in.

The replaced part is as small as possible: a single value, or an incomplete entry. The
stand-in is the baseline's value at the same place. If the baseline has no such value, the
part is left out. Because of the repair, one validation reports every mistake exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from upsim.scenario.yaml_tree import Place, Value, mapping

APART = ("jobs", "faults", "media", "changes")
"""Sections whose items are checked one by one, in any form."""
_ROUNDS = 8
"""Number of rounds in which an entry is widened to the entry around it; then the section goes."""
_ENTRY = 2
_NAMED = ("plans", "models", "errors", "failures", "limits", "facts", "retention", "sources")
"""Sections that hold named entries of one kind."""


class Broken(NamedTuple):
    """One violation of the schema; `rule` is the schema keyword."""

    place: Place
    message: str
    rule: str


class Recovered(NamedTuple):
    """The part of a file that can be validated further, and the entries without a stand-in."""

    value: dict[str, Value]
    doubtful: frozenset[Place]


Judge = Callable[[Value], Collection[Broken]]
_LOST = object()


def recover(
    value: Value, broken: Collection[Broken], base: Mapping[str, Value] | None, judge: Judge
) -> Recovered | None:
    """Return the part of a file to validate; None for a broken file that has no baseline."""
    doubtful: set[Place] = set()
    rest: Value = {k: v for k, v in mapping(value).items() if k not in APART}
    wrong = [found for found in broken if not found.place or found.place[0] not in APART]
    if wrong and base is None:
        return None
    for _ in range(_ROUNDS):
        if not wrong:
            return Recovered(mapping(rest), frozenset(doubtful))
        rest = _repaired(rest, base, wrong, (), doubtful)  # type: ignore[assignment]  # a file never goes
        wrong = list(judge(rest))
    lost = {found.place[0] for found in wrong if found.place}
    kept = {key: item for key, item in mapping(rest).items() if key not in lost}
    return Recovered({**mapping(dict(base or {})), **kept}, frozenset(doubtful))


def _repaired(
    node: Value, stand_in: object, wrong: Sequence[Broken], place: Place, doubtful: set[Place]
) -> object:
    """Return the node without its invalid parts, or `_LOST` if nothing remains."""
    here = [found for found in wrong if found.place == place]
    if isinstance(node, dict) and all(found.rule == "required" for found in here):
        if here and not isinstance(stand_in, Mapping):
            return _instead(stand_in, here, place, doubtful)
        return _mended_mapping(node, stand_in if here else None, stand_in, wrong, place, doubtful)
    return _instead(stand_in, here or wrong, place, doubtful)


def _mended_mapping(
    node: Mapping[str, Value],
    filling: object,
    stand_in: object,
    wrong: Sequence[Broken],
    place: Place,
    doubtful: set[Place],
) -> dict[str, Value]:
    found: dict[str, Value] = dict(filling) if isinstance(filling, Mapping) else {}
    below = stand_in if isinstance(stand_in, Mapping) else {}
    wrong_in: dict[object, list[Broken]] = {}
    for each in wrong:
        if len(each.place) > len(place):
            wrong_in.setdefault(each.place[len(place)], []).append(each)
    for key, item in node.items():
        there = (*place, key)
        inner = wrong_in.get(key)
        if not inner:
            found[key] = item
            continue
        unknown = any(e.place == there and e.rule == "additionalProperties" for e in inner)
        known = _LOST if unknown else below.get(key, _sibling(below, place))
        mended = _repaired(item, known, inner, there, doubtful)
        if mended is _LOST:
            found.pop(key, None)
        else:
            found[key] = mended  # type: ignore[assignment]  # all but _LOST are values
    return found


def _sibling(entries: Mapping[str, object], place: Place) -> object:
    """Return a stand-in for a new entry of a section, so that its name is known."""
    named = len(place) == 1 and place[0] in _NAMED
    return next(iter(entries.values()), _LOST) if named else _LOST


def _instead(
    stand_in: object, wrong: Sequence[Broken], place: Place, doubtful: set[Place]
) -> object:
    told = len(place) <= _ENTRY or place[0] == "models"  # models refer to each other
    if stand_in is _LOST and told and any(e.rule != "additionalProperties" for e in wrong):
        doubtful.add(place[:_ENTRY])
    return stand_in
