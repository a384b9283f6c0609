"""Read YAML 1.2 text into plain values, with the line and column of every value.

PyYAML reads YAML 1.1: it reads `on` as a boolean, and the last of two equal keys replaces the
first without an error. Here words, integers and decimals follow the YAML 1.2 core schema, and
numbers with a point become `Decimal`.
Everything else stays text (dates, exponents, `0x1F`). A repeated key or a tag is a mistake.
`${NAME}` and `${NAME:-default}` in a value are replaced by an environment variable; the result
is always a single value.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from upsim.scenario.environment_variables import replace_variables

if TYPE_CHECKING:
    import yaml

Value = None | bool | int | str | Decimal | list["Value"] | dict[str, "Value"]
Place = tuple[str | int, ...]
Found = Iterator[tuple[Place, str]]
"""A place, and a sentence about its mistake."""

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
_PAIR = re.compile(r"\s*(?:- )?(?P<key>[\w.-]+):\s+(?P<value>[^'\"{\[\s].*:(?:\s.*)?)$")
"""A key with a text in which a colon makes another pair."""
SCALAR, SEQUENCE = "scalar", "sequence"
"""Kinds of nodes of the YAML library; the third is a mapping."""
_TAG = re.compile(r"(?:&\S+[ \t]+)?!")
MAX_BYTES = 4 * 1024 * 1024
MAX_VALUES = 100_000
"""Maximum number of values in a file after its aliases are expanded."""
MAX_DEPTH = 64
TOLD = 400
"""Number of characters that a long message keeps at each end."""
_SAFELY_DEEP = 5_000
"""Nesting depth that the YAML library can read without a stack overflow, with a margin of four."""


class Mark(msgspec.Struct, frozen=True, order=True):
    """A position in a file, counted from 1; the mark of a document has no file."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Mistake(msgspec.Struct, frozen=True, order=True):
    """One mistake in a file: its position, its key, and a sentence."""

    mark: Mark
    place: str
    message: str

    def __str__(self) -> str:
        mark = f"{self.mark}: " if self.mark.file else ""
        where = f"{self.place}: " if self.place else ""
        return f"{mark}{where}{self.message}"


class Tree(msgspec.Struct):
    """The values of a file, and the mark of each place.

    `whole` is False if the file's base is missing or broken. Validation would then report parts
    as missing that the base really has. `files` are the files that were read for the tree.
    """

    value: Value
    marks: dict[Place, Mark]
    mistakes: list[Mistake] = msgspec.field(default_factory=list)
    whole: bool = True
    files: tuple[Path, ...] = ()

    def mark(self, place: Place) -> Mark:
        """Return the mark of a place, or of the nearest known place around it."""
        while place not in self.marks and place:
            place = place[:-1]
        return self.marks.get(place, Mark("<nowhere>", 1, 1))

    def mistake(self, place: Place, message: str) -> Mistake:
        """Return a mistake at a place of this file; a long message loses its middle part."""
        if len(message) > 2 * TOLD:
            message = f"{message[:TOLD]} … {message[-TOLD:]}"
        return Mistake(self.mark(place), dotted(place), message)


def mapping(value: object) -> dict[str, Value]:
    """Return the value if it is a mapping, otherwise an empty mapping."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Value]:
    """Return the value if it is a list, otherwise an empty list."""
    return value if isinstance(value, list) else []


_OPENING = ("'", '"', "[", "{")
"""The beginning of a quoted text or a bracket whose end may be missing."""


def dotted(place: Place) -> str:
    """Return a place as a dotted path: `errors.too_long.status`, `jobs[0].when`."""
    text = ""
    for part in place:
        name = part if isinstance(part, int) or len(part) <= TOLD else f"{part[:TOLD]}…"
        text += f"[{part}]" if isinstance(part, int) else f".{name}" if text else str(name)
    return text


def read_tree(path: Path, fill: Callable[[str], str] = str) -> Tree:
    """Return the tree of a file; syntax errors and repeated keys are among the tree's mistakes.

    `fill` changes the text before it is parsed.
    """
    file = str(path)
    try:
        with path.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _unreadable(Mark(file, 1, 1), f"not UTF-8: {error}")
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise  # the file itself is fine
        return _unreadable(Mark(file, 1, 1), f"cannot be read: {error.strerror}")
    if sum(map(data.count, (b",", b"\n", b"\r"))) > MAX_VALUES:
        return _unreadable(Mark(file, 1, 1), f"more than {MAX_VALUES} lines and commas")
    if len(data) > MAX_BYTES:
        return _unreadable(Mark(file, 1, 1), f"larger than {MAX_BYTES} bytes")
    return parse_tree(fill(text), file)


def parse_tree(text: str, file: str, variables: Mapping[str, str] = os.environ) -> Tree:
    """Return the tree of a text that came from `file`."""
    import yaml  # a server starts without reading a file

    tree = Tree(value=None, marks={(): Mark(file, 1, 1)})
    try:
        _refuse_abysses(text)
        node = yaml.compose(text, Loader=_loader())
    except yaml.YAMLError as error:
        return _unreadable(*_syntax_mistake(error, text, file))
    except RecursionError:
        return _unreadable(tree.mark(()), f"nested more than {MAX_DEPTH} levels deep")
    if node is not None:
        try:
            tree.value = _Reader(tree, text, file, variables).read(node, ())
        except _TooMuchError as error:
            return _unreadable(error.mark, error.message)
    return tree


class _TooMuchError(Exception):
    """A file has too many values after its aliases are expanded; reading stops."""

    def __init__(self, mark: Mark, message: str) -> None:
        """Keep the position and the message."""
        self.mark, self.message = mark, message
        super().__init__(message)


def _unreadable(mark: Mark, message: str) -> Tree:
    return Tree(None, {(): Mark(mark.file, 1, 1)}, [Mistake(mark, "", message)], whole=False)


def _loader() -> Any:  # noqa: ANN401 - a class of the YAML library, in C or in Python
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _refuse_abysses(text: str) -> None:
    """Raise RecursionError if the nesting is deep enough to overflow the YAML library's stack."""
    if sum(map(text.count, "[{-?")) <= _SAFELY_DEEP:
        return
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=_loader()):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _SAFELY_DEEP:
                raise RecursionError
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _syntax_mistake(error: yaml.YAMLError, text: str, file: str) -> tuple[Mark, str]:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if mark is None:
        return Mark(file, 1, 1), f"not YAML: {problem}"
    lines = text.splitlines()
    opened = getattr(error, "context_mark", None)
    here = "" if opened is None else text[opened.index : opened.index + 1]
    if opened is not None and here in _OPENING and mark.index >= len(text.rstrip()):
        return Mark(
            file, opened.line + 1, opened.column + 1
        ), f"not YAML: this {here} is not closed"
    quoted = _long_quote(text, mark.line)
    if quoted is not None:
        start, end = quoted.start_mark, quoted.end_mark
        said = f"this {text[start.index]} is closed only in line {end.line + 1}; close it here"
        return Mark(file, start.line + 1, start.column + 1), f"not YAML: {said}"
    line = lines[mark.line] if mark.line < len(lines) else ""
    hint = _syntax_hint(problem, line, mark.column)
    return Mark(file, mark.line + 1, mark.column + 1), f"not YAML: {hint or problem}"


def _long_quote(text: str, line: int) -> yaml.ScalarToken | None:
    """Return the quoted text before a syntax error whose closing quote is probably missing.

    In most cases the text has no closing quote, and the opening quote of a later text ended it.
    """
    import yaml

    found = None
    try:
        for token in yaml.scan(text, Loader=_loader()):
            if token.start_mark.line > line:
                break
            if isinstance(token, yaml.ScalarToken) and token.style in ("'", '"'):
                found = token
    except yaml.YAMLError:
        pass  # the tokens before it count
    if found is None or not found.start_mark.line < found.end_mark.line == line:
        return None
    return found


def _syntax_hint(problem: str, line: str, column: int) -> str | None:
    """Return advice on a common syntax mistake; None if there is no advice."""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "a tab; indent with spaces"
    if problem.startswith("mapping values"):
        pair = _PAIR.match(line)
        if pair is not None:
            key, value = pair["key"], pair["value"].replace('"', "'")
            return f'a text with a colon and a space in it must be quoted: {key}: "{value}"'
        return f"{problem}; check that the line is indented like those around it"
    if problem.startswith("found character that cannot start") and column < len(line):
        return f"a text that begins with {line[column]} must be quoted"
    return None


class _Reader:
    def __init__(self, tree: Tree, text: str, file: str, variables: Mapping[str, str]) -> None:
        self._tree = tree
        self._text = text
        self._file = file
        self._variables = variables
        self._open: list[yaml.Node] = []

    def read(self, node: Any, place: Place) -> Value:  # noqa: ANN401 - yaml.Node has no `id`
        start = node.start_mark
        mark = self._tree.marks[place] = Mark(self._file, start.line + 1, start.column + 1)
        if len(place) > MAX_DEPTH:
            raise _TooMuchError(mark, f"nested more than {MAX_DEPTH} levels deep")
        if len(self._tree.marks) > MAX_VALUES:
            raise _TooMuchError(
                mark, f"expands to more than {MAX_VALUES} values; use fewer aliases"
            )
        if _TAG.match(self._text, start.index):
            self._mistake(place, "tags are not supported; quote the value to keep it as text")
        if node.id == SCALAR:
            return self._scalar(node, place)
        if node in self._open:
            self._mistake(place, "an alias may not contain itself")
            return None
        self._open.append(node)
        value: Value
        if node.id == SEQUENCE:
            value = [self.read(item, (*place, i)) for i, item in enumerate(node.value)]
        else:
            value = dict(self._pairs(node, place))
        self._open.pop()
        return value

    def _pairs(self, node: yaml.Node, place: Place) -> Iterator[tuple[str, Value]]:
        seen: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.id != SCALAR:
                self._mistake(place, "a key must be a text")
                continue
            key = key_node.value
            here = (*place, key)
            value = self.read(value_node, here)
            start = key_node.start_mark
            self._tree.marks[here] = Mark(self._file, start.line + 1, start.column + 1)
            if key in seen:
                self._mistake(here, "this key is repeated; remove one of them")
            seen.add(key)
            yield key, value

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Value:
        text: str = node.value
        if "${" in text:
            text = self._with_variables(text, place)
        if node.style in ("'", '"', "|", ">"):
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.match(text):
            return int(text) if len(text) <= 30 else text  # noqa: PLR2004 - no number here is longer
        return Decimal(text) if _DECIMAL.match(text) else text

    def _with_variables(self, text: str, place: Place) -> str:
        filled, messages = replace_variables(text, self._variables)
        for message in messages:
            self._mistake(place, message)
        return filled

    def _mistake(self, place: Place, message: str) -> None:
        self._tree.mistakes.append(self._tree.mistake(place, message))
