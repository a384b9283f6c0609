"""Explain a resolved scenario: every value with the line that it comes from and its evidence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from upsim.core.evidence import Evidence
from upsim.scenario.build import evidence
from upsim.scenario.changes import CHANGES
from upsim.scenario.loader import Library
from upsim.scenario.merging import CHANGED
from upsim.scenario.yaml_tree import Mark, Place, Tree, Value, dotted, mapping, parse_tree

_PLAIN = re.compile(r"[A-Za-z_][\w ./()-]*[\w)]|[A-Za-z_]")
_COLUMN = 72
_WIDEST = 100


class ExplainedValue(msgspec.Struct, frozen=True):
    """One value of a resolved file: its place, its line, and its evidence."""

    place: Place
    value: Value
    mark: Mark
    evidence: Evidence | None


class Explained(msgspec.Struct, frozen=True):
    """A scenario merged with all files that it extends; its own file is the first of `files`."""

    name: str
    tree: Tree
    files: tuple[str, ...]
    lines: tuple[ExplainedValue, ...]


def explain(library: Library, name: str) -> Explained:
    """Return line and evidence of every value. Raises UnknownScenarioError or ScenarioError."""
    library.load(name)
    tree = library.resolve_name(name)
    lines = tuple(_lines(tree, tree.value, (), None))
    files = dict.fromkeys(line.mark.file for line in lines)
    own = str(library.path_of(name))
    ordered = [own, *(file for file in files if file != own)]
    return Explained(name, tree, tuple(ordered), lines)


def as_json(explained: Explained) -> dict[str, object]:
    """Return the explanation as JSON data."""
    root = mapping(explained.tree.value)
    return {
        "name": explained.name,
        "provider": root["provider"],
        "summary": root.get("summary", ""),
        "evidence": _shown_evidence(_evidence_of(explained.tree, root)),
        "files": [short(file) for file in explained.files],
        "values": [
            {
                "path": dotted(line.place),
                "value": line.value,
                "from": f"{short(line.mark.file)}:{line.mark.line}",
                "evidence": _shown_evidence(line.evidence),
            }
            for line in explained.lines
        ],
    }


def as_text(explained: Explained) -> str:
    """Return the resolved file as YAML; each line shows its origin and its evidence grade."""
    head = [f"# {explained.name}: {' <- '.join(short(file) for file in explained.files)}"]
    grades = {line.place: line for line in explained.lines}
    body = _Writer(explained.tree, grades).lines(explained.tree.value, (), 0)
    return "\n".join([*head, *body]) + "\n"


def short(file: str | Path) -> str:
    """Return the library name of a built-in file; return any other path unchanged."""
    path = Path(file)
    shipped = path.parent.parent.name in ("scenarios", "_scenarios")
    return f"{path.parent.name}/{path.name}" if shipped else str(file)


def _lines(
    tree: Tree, value: Value, place: Place, above: Evidence | None
) -> Iterator[ExplainedValue]:
    if place[:1] == (CHANGES,) and place[2:] == ("set",):
        above = Evidence("assumed", CHANGED, "")
    if isinstance(value, dict) and value:
        here = _evidence_of(tree, value) or above
        for key, item in value.items():
            if key != "evidence":
                yield from _lines(tree, item, (*place, key), here)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for i, item in enumerate(value):
            yield from _lines(tree, item, (*place, i), above)
    else:
        yield ExplainedValue(place, value, tree.mark(place), above)


def _evidence_of(tree: Tree, node: dict[str, Value]) -> Evidence | None:
    if not isinstance(node.get("evidence"), dict):
        return None
    return evidence(node, mapping(mapping(tree.value).get("sources")))


def _shown_evidence(found: Evidence | None) -> dict[str, str] | None:
    if found is None:
        return None
    return {"grade": found.grade, "source": found.source, "date": found.date}


class _Writer:
    """Writes a resolved tree as YAML that reads back as the same tree."""

    def __init__(self, tree: Tree, lines: dict[Place, ExplainedValue]) -> None:
        self._tree = tree
        self._lines = lines

    def lines(self, value: Value, place: Place, depth: int) -> Iterator[str]:
        """Yield the indented lines of a mapping or a list."""
        pairs: Iterator[tuple[str | int, Value]]
        pairs = iter(value.items()) if isinstance(value, dict) else iter(enumerate(_list(value)))
        for key, item in pairs:
            here = (*place, key)
            lead = "  " * depth + ("-" if isinstance(key, int) else f"{scalar(key)}:")
            if self._is_one_line(item, key):
                yield self._noted(f"{lead} {flow(item)}", here)
            else:
                yield lead
                yield from self.lines(item, here, depth + 1)

    def _is_one_line(self, value: Value, key: str | int) -> bool:
        if not isinstance(value, dict | list) or not value or key == "evidence":
            return True
        nested = value.values() if isinstance(value, dict) else value
        simple = not any(isinstance(item, dict | list) for item in nested)
        return isinstance(value, list) and simple and len(flow(value)) < _WIDEST

    def _noted(self, text: str, place: Place) -> str:
        mark, line = self._tree.mark(place), self._lines.get(place)
        grade = f" {line.evidence.grade}" if line and line.evidence else ""
        return f"{text.ljust(_COLUMN)}  # {short(mark.file)}:{mark.line}{grade}"


def flow(value: Value) -> str:
    """Return a value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def scalar(value: Value) -> str:
    """Return a single value, quoted if YAML would read it as something else."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if not isinstance(value, str):
        return f"{value:f}" if not isinstance(value, int) else str(value)
    if _PLAIN.fullmatch(value) and parse_tree(value, "").value == value:
        return value
    return json.dumps(value, ensure_ascii=False).replace("${", "$${")


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []
