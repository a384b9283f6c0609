"""Limits on the size of one fault, and on the total size of all faults of a sandbox.

The limits matter because a request may be compared with every fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from upsim.core.faults import FaultRule
from upsim.core.globs import excess
from upsim.scenario.faults.vocabulary import Node
from upsim.scenario.yaml_tree import Found

MAX_PATH_LENGTH = 200
"""Maximum characters of a dotted path in `when` or `patch`."""
_FIELDS_OF = {"when": 50, "patch": 200, "headers": 100, "values": 100}
"""Fields that these mappings of one fault may have."""


class Size(NamedTuple):
    """The size of a fault: fields to look up, values to write, and characters."""

    fields: int = 0
    values: int = 0
    characters: int = 0

    def __add__(self, other: object) -> Size:
        """Return the sum of two sizes."""
        return Size(*map(sum, zip(self, other, strict=True))) if isinstance(other, Size) else self


MAX_OF_ONE = Size(300, 4_000, 1_100_000)
MAX_TOGETHER = Size(2_000, 10_000, 4_000_000)


def size_of(node: Node) -> Size:
    """Return the size of a fault in the form that the user wrote."""
    values = characters = 0
    left: list[object] = [node]
    while left:
        value = left.pop()
        values += 1
        if isinstance(value, Mapping):
            left += value.values()
            characters += sum(len(str(name)) for name in value)
        elif isinstance(value, list | tuple):
            left += value
        elif isinstance(value, str):
            characters += len(value)
    return Size(sum(len(fields) for _, fields in _mappings(node)), values, characters)


def size_of_rule(rule: FaultRule) -> Size:
    """Return the size of an armed fault."""
    return size_of({"do": rule.written, "when": dict(rule.when)})


def size_mistakes(node: Node) -> Found:
    """Yield why a fault is too large; a fault that is too large is not checked further."""
    for place, fields in _mappings(node):
        name, most = place[-1], _FIELDS_OF[place[-1]]
        if len(fields) > most:
            yield place, f"{name} has {len(fields)} fields; at most {most} are allowed"
        elif name in ("when", "patch"):
            longest = max((len(str(path)) for path in fields), default=0)
            if longest > MAX_PATH_LENGTH:
                said = f"a path of {name} has {longest} characters"
                yield place, f"{said}; at most {MAX_PATH_LENGTH} are allowed"
    said = too_large(size_of(node), MAX_OF_ONE, "this fault has")
    if said:
        yield (), said


def too_large(size: Size, most: Size, subject: str) -> str:
    """Return a sentence about the first part of a size that exceeds its limit; else ""."""
    for name, found, allowed in zip(Size._fields, size, most, strict=True):
        if found > allowed:
            return f"{subject} {found} {name}; at most {allowed} are allowed"
    return ""


def together(nodes: Iterable[Node]) -> str:
    """Return why the total size of the faults of a file is too large; else ""."""
    size = sum(map(size_of, nodes), Size())
    return too_large(size, MAX_TOGETHER, "the faults have together")


def too_much(rules: Iterable[FaultRule], rule: FaultRule) -> str:
    """Return why a sandbox with these faults cannot accept another fault; else ""."""
    every = [*rules, rule]
    size = sum(map(size_of_rule, every), Size())
    return too_large(size, MAX_TOGETHER, "with this fault the sandbox's faults have") or excess(
        glob for one in every for glob in (one.on or "", *(wanted for _, wanted in one.when))
    )


def _mappings(node: Node) -> list[tuple[tuple[str, ...], Mapping[object, object]]]:
    """Return the mappings of a fault whose fields are counted, each with its place."""
    do = node.get("do")
    actions: Node = do if isinstance(do, Mapping) else {}
    respond = actions.get("respond")
    answer: Node = respond if isinstance(respond, Mapping) else {}
    found = {
        ("when",): node.get("when"),
        ("do", "patch"): actions.get("patch"),
        ("do", "headers"): actions.get("headers"),
        ("do", "respond", "headers"): answer.get("headers"),
        ("do", "respond", "values"): answer.get("values"),
    }
    return [(place, fields) for place, fields in found.items() if isinstance(fields, Mapping)]
