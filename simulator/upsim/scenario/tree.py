"""YAML 1.2 text to plain values, with the line and column of every one of them kept.

PyYAML reads YAML 1.1, takes `on` for a boolean and lets a repeated key win silently; here the
words, integers and decimals of the 1.2 core schema mean what they do there, numbers with a point
become `Decimal`, everything else stays text (dates, exponents, `0x1F`), and a repeated key or a
tag is a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import yaml

Value = None | bool | int | str | Decimal | list["Value"] | dict[str, "Value"]
Place = tuple[str | int, ...]

_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)\Z")
_WORDS: dict[str, bool | None] = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
    "null": None,
    "Null": None,
    "NULL": None,
    "~": None,
    "": None,
}
_TAG = re.compile(r"(?:&\S+[ \t]+)?!")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A position in a file, both numbers from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing wrong in a file: where, which key, and a sentence."""

    mark: Mark
    place: str
    message: str

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"{self.mark}: {where}{self.message}"


@dataclass(slots=True)
class Tree:
    """The values of a file and the mark of each place."""

    value: Value
    marks: dict[Place, Mark]
    mistakes: list[Mistake] = field(default_factory=list)

    def mark(self, place: Place) -> Mark:
        """The mark of a place, or of the nearest place around it that the file holds."""
        while place not in self.marks and place:
            place = place[:-1]
        return self.marks.get(place, Mark("<nowhere>", 1, 1))


def dotted(place: Place) -> str:
    """A place as people write it: `errors.too_long.status`, `jobs[0].when`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def read_tree(path: Path) -> Tree:
    """The tree of a file; syntax errors and repeated keys are among its mistakes."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        mark = Mark(str(path), 1, 1)
        return Tree(None, {(): mark}, [Mistake(mark, "", f"not UTF-8: {error}")])
    return parse_tree(text, str(path))


def parse_tree(text: str, file: str) -> Tree:
    """The tree of a text that came from `file`."""
    tree = Tree(value=None, marks={(): Mark(file, 1, 1)})
    try:
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        tree.mistakes.append(_syntax_mistake(error, file))
        return tree
    if node is not None:
        tree.value = _Reader(tree, text, file).read(node, ())
    return tree


def _syntax_mistake(error: yaml.YAMLError, file: str) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    place = Mark(file, mark.line + 1, mark.column + 1) if mark else Mark(file, 1, 1)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return Mistake(place, "", f"not YAML: {problem}")


class _Reader:
    def __init__(self, tree: Tree, text: str, file: str) -> None:
        self._tree = tree
        self._text = text
        self._file = file
        self._open: list[yaml.Node] = []

    def read(self, node: yaml.Node, place: Place) -> Value:
        start = node.start_mark
        self._tree.marks[place] = Mark(self._file, start.line + 1, start.column + 1)
        if _TAG.match(self._text, start.index):
            self._mistake(place, "tags mean nothing here; quote what is to stay text")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if node in self._open:
            self._mistake(place, "an alias may not contain itself")
            return None
        self._open.append(node)
        value: Value
        if isinstance(node, yaml.SequenceNode):
            value = [self.read(item, (*place, i)) for i, item in enumerate(node.value)]
        else:
            value = dict(self._pairs(node, place))
        self._open.pop()
        return value

    def _pairs(self, node: yaml.Node, place: Place) -> Iterator[tuple[str, Value]]:
        seen: set[str] = set()
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._mistake(place, "a key must be a text")
                continue
            key = key_node.value
            here = (*place, key)
            value = self.read(value_node, here)
            start = key_node.start_mark
            self._tree.marks[here] = Mark(self._file, start.line + 1, start.column + 1)
            if key in seen:
                self._mistake(here, "this key stands twice; remove one of them")
            seen.add(key)
            yield key, value

    def _scalar(self, node: yaml.ScalarNode) -> Value:
        text: str = node.value
        if node.style in ("'", '"', "|", ">"):
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.match(text):
            return int(text) if len(text) <= 30 else text  # noqa: PLR2004 - no number here is longer
        return Decimal(text) if _DECIMAL.match(text) else text

    def _mistake(self, place: Place, message: str) -> None:
        self._tree.mistakes.append(Mistake(self._tree.mark(place), dotted(place), message))
