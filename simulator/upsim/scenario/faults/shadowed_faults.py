"""Find faults that can never fire, because an earlier fault fires on all of their requests.

At each stage only the first matching fault fires. An earlier fault with an `id` does not
count: the user may disarm it, and then later faults can fire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from upsim.core.faults import FILES_AT, UNNAMED_AT, Stage, Word, spelt
from upsim.core.globs import fits
from upsim.scenario.faults.matched_requests import named_at
from upsim.scenario.faults.numbers_and_durations import decimal_of
from upsim.scenario.faults.vocabulary import FaultVocabulary, Node


def shadow_of(node: Node, above: Mapping[int, Node], known: FaultVocabulary) -> int | None:
    """Return the index of an earlier fault that fires on all requests of this fault; else None.

    All of these faults are valid.
    """
    return next((i for i, other in above.items() if _leaves_nothing(other, node, known)), None)


def _leaves_nothing(other: Node, node: Node, known: FaultVocabulary) -> bool:
    return (
        other["at"] == node["at"]
        and "id" not in other
        and _acts_each_time(other)
        and (other["do"] == Word.EARLY) is (node["do"] == Word.EARLY)  # at another moment
        and all(key not in other or _same(other, node, key) for key in ("account", "state"))
        and _conditions(other) <= _conditions(node)
        and _speaks_of_all(other, node, known)
    )


def _acts_each_time(node: Node) -> bool:
    always = decimal_of(node.get("probability", 1)) == 1
    return always and "first" not in node and node.get("every", 1) == 1 and not node.get("after")


def _same(other: Node, node: Node, key: str) -> bool:
    return key in node and str(other[key]) == str(node[key])


def _conditions(node: Node) -> frozenset[tuple[str, str]]:
    return frozenset((str(path), spelt(value)) for path, value in node.get("when", {}).items())


def _speaks_of_all(other: Node, node: Node, known: FaultVocabulary) -> bool:
    """Return whether the first fault applies to all operations and folders of the second fault."""
    if other.get("on") == node.get("on"):
        return True
    stage: Stage = node["at"]
    if "" in known.operations.values():  # the kinds of operations are unknown
        return other.get("on") == "*"
    return _spoken_of(stage, node, known) <= _spoken_of(stage, other, known)


def _spoken_of(stage: Stage, node: Node, known: FaultVocabulary) -> set[str]:
    if "on" in node:
        return {name for name in named_at(stage, known.operations) if fits(name, node["on"])}
    files: Sequence[str] = FILES_AT.get(stage, ())
    return {*files, *(n for n, kind in known.operations.items() if kind in UNNAMED_AT[stage])}
