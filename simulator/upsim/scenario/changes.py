"""The section `changes`: rules that change during a run, each added to the earlier changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from upsim.core.instants import Instant, from_iso
from upsim.core.suggestions import shown
from upsim.scenario.durations import meant_time, micros_of
from upsim.scenario.merging import merged
from upsim.scenario.schema import sections, source
from upsim.scenario.yaml_tree import Found, Mistake, Place, Tree, dotted, items, mapping

CHANGES = "changes"
MAX_CHANGES: int = source()["properties"][CHANGES]["maxItems"]
"""Maximum number of changes; each is validated together with the whole file."""


class Stage(msgspec.Struct, frozen=True):
    """The rules that apply from one change on: the whole file including that change."""

    number: int
    after: Instant
    at: Instant | None
    tree: Tree
    change: Tree

    def values(self) -> Iterator[str]:
        """Yield the places that the change sets, except for mappings, because these are merged."""
        marks = self.change.marks
        merges = {place[:-1] for place in marks if place and isinstance(place[-1], str)}
        return (dotted(place) for place in marks if place not in merges)

    def told(self, mistake: Mistake) -> Mistake:
        """Return a mistake of the changed file, moved to its place in the section `changes`."""
        here = (CHANGES, self.number, "set")
        changed = any(mistake.mark == mark for mark in self.change.marks.values())
        mark = mistake.mark if changed else self.change.mark(())
        inner = f".{mistake.place}" if mistake.place else ""
        return Mistake(mark, f"{dotted(here)}{inner}", mistake.message)


def stages(tree: Tree) -> Iterator[Stage]:
    """Yield each change, merged over the earlier changes, without keys that cannot change.

    A file with too many changes yields no stage, because validating all changes would take long.
    """
    nodes = items(mapping(tree.value).get(CHANGES))
    if len(nodes) > MAX_CHANGES:
        return
    before = without_changes(tree)
    for number, node in enumerate(nodes):
        if not isinstance(mapping(node).get("set"), dict):
            continue
        change = _change(tree, number)
        before = merged(before, change)
        at = _instant(node) if "at" in mapping(node) else None
        yield Stage(number, micros_of(mapping(node).get("after")) or 0, at, before, change)


def without_changes(tree: Tree) -> Tree:
    """Return the file as it is at start."""
    value = {key: item for key, item in mapping(tree.value).items() if key != CHANGES}
    return Tree(value, tree.marks, [], tree.whole, tree.files)


def change_mistakes(tree: Tree) -> Found:
    """Yield the mistakes in the changes of a file before they are applied."""
    nodes = items(mapping(tree.value).get(CHANGES))
    for number, node in enumerate(nodes):
        for place, message in _node_mistakes(node) if isinstance(node, dict) else ():
            yield (CHANGES, number, *place), message
    yield from _order(nodes)
    if len(nodes) > MAX_CHANGES:
        yield (CHANGES,), f"{len(nodes)} changes; at most {MAX_CHANGES} are allowed"


def _node_mistakes(node: object) -> Found:
    when = [key for key in ("after", "at") if key in mapping(node)]
    if len(when) > 1:
        yield (), "a change has both after and at; remove one of them"
    elif not when:
        yield (), "a change needs either after, such as 10m, or at, such as 2026-01-01T00:10:00Z"
    elif _instant(node) is None:
        form = "a duration such as 90s, 10m or 2m30s" if when == ["after"] else "an ISO 8601 time"
        value = mapping(node)[when[0]]
        hint = meant_time(value) if when == ["after"] else ""
        yield (when[0],), f"{str(value)!r} is not {form}{hint}"
    changed = mapping(node).get("set")
    if "set" in mapping(node) and not mapping(changed):
        found = "" if changed == {} else f", not {shown(changed)}"
        yield ("set",), f"say what changes: set: {{refund: …}}{found}"
    for key in sections("x-fixed"):
        if key in mapping(changed):
            yield (
                ("set", key),
                f"{key} is read only at start and cannot be changed here; set it at the top level",
            )


def _order(nodes: Sequence[object]) -> Found:
    for key in ("after", "at"):
        last: Instant | None = None
        for number, node in enumerate(nodes):
            found = _instant(node) if key in mapping(node) else None
            if found is not None and last is not None and found < last:
                place: Place = (CHANGES, number, key)
                yield (
                    place,
                    "this change is earlier than the one above it; write changes in order of time",
                )
            last = last if found is None else found


def _instant(node: object) -> Instant | None:
    """Return the time or duration of a change if it can be read."""
    at, after = mapping(node).get("at"), mapping(node).get("after")
    if at is None:
        return micros_of(after)
    try:
        return from_iso(str(at))
    except (ValueError, OverflowError):
        return None


def _change(tree: Tree, number: int) -> Tree:
    """Return the new values of one change, as a file that extends the state before the change."""
    here = (CHANGES, number, "set")
    marks = {place[3:]: mark for place, mark in tree.marks.items() if place[:3] == here}
    changed = mapping(mapping(items(mapping(tree.value)[CHANGES])[number])["set"])
    fixed = sections("x-fixed")
    return Tree({key: item for key, item in changed.items() if key not in fixed}, marks)
