"""A scenario that came as a document, in a request or from a program, and not from a file.

It speaks the language of files, but for what would let whoever sends it look into the machine: it
extends scenarios by name only, names no file, and takes no variable of the environment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

from upsim.core.provider import Provider
from upsim.scenario.changes import MAX_CHANGES
from upsim.scenario.faults.sizes import size_of
from upsim.scenario.loader import Library, ScenarioError, built
from upsim.scenario.merging import merged
from upsim.scenario.model import Scenario
from upsim.scenario.suggestions import shown
from upsim.scenario.yaml_tree import (
    MAX_DEPTH,
    Mark,
    Mistake,
    Place,
    Tree,
    Value,
    items,
    mapping,
)

SENT = "request body"
"""The name of such a scenario. No other has it: names hold a slash, and files end in .yaml."""
MAX_SENT = 4_000
"""Values that a document may hold; the largest baseline has half of that."""
MAX_CHARACTERS = 5_000_000
"""Characters of all texts and keys of a document; its faults may hold 4,000,000 of them."""
MAX_JUDGED = 40_000
"""Values that are judged: all of a document, and again with each of its changes."""
MAX_NUMBER_LENGTH = 30
"""Digits of a number; what is longer stays text, as in files."""
_VARIABLE = re.compile(r"(?<!\$)\$\{")
_NO_VARIABLES = "no variable of the server's environment can be used here; $${ stands for ${ itself"
_NO_FILES = (
    "no file of the server's disk can be named here; give duration, size and fps,"
    " or let the request name a clip below /media/"
)
_NEEDS_BASE = "say what this changes: extends: <provider>/baseline"


class _TooMuchError(Exception):
    """A document that holds more than can be meant; nothing more is read of it."""


def load_inline(
    library: Library, document: Mapping[str, object], providers: Mapping[str, Provider]
) -> Scenario:
    """The scenario that a document is. Raises ScenarioError with all of its mistakes."""
    tree, folder = _resolved(library, sent_tree(document))
    mistakes = library.mistakes_in(tree, providers)
    if mistakes:
        raise ScenarioError(mistakes)
    return built(SENT, tree, folder)


def sent_tree(document: object) -> Tree:
    """The tree of a document: its marks name no file, and count its values in their order."""
    tree = Tree(None, {(): Mark("", 0, 0)})
    try:
        _refuse_long_texts(document)
        tree.value = _read(tree, document, ())
        _refuse_labour(tree)
    except _TooMuchError as error:
        return Tree(None, tree.marks, [Mistake(tree.mark(()), "", str(error))], whole=False)
    tree.mistakes += [tree.mistake(place, _NO_FILES) for place in _files(tree.value)]
    return tree


def as_json(value: object) -> object:
    """A document, or any value in one, as a request carries it."""
    if isinstance(value, Mapping):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def _resolved(library: Library, tree: Tree) -> tuple[Tree, Path]:
    """The document with what it extends merged in, and the folder that this stands in."""
    root = mapping(tree.value)
    if not tree.whole or ("provider" in root and "extends" not in root):
        return tree, Path()
    if "extends" not in root:
        return _failed(tree, (), _NEEDS_BASE), Path()
    parent = root["extends"]
    if not isinstance(parent, str) or parent not in library.names():
        return _failed(tree, ("extends",), _unknown(library, parent)), Path()
    return merged(library.resolve_name(parent), tree), library.path_of(parent).parent


def _failed(tree: Tree, place: Place, message: str) -> Tree:
    return Tree(tree.value, tree.marks, [*tree.mistakes, tree.mistake(place, message)], whole=False)


def _unknown(library: Library, parent: Value) -> str:
    if not isinstance(parent, str):
        return f"{shown(parent)} is no name of a scenario; write <provider>/baseline or another"
    near = library.near(parent)
    hint = f"did you mean {', '.join(near)}?" if near else "GET /__sim/scenarios lists them"
    return f"there is no scenario {shown(parent)} that ships, and paths mean nothing here; {hint}"


def _refuse_labour(tree: Tree) -> None:
    """Raise _TooMuchError for what would take long to judge: a server has other callers."""
    changes, values = len(items(mapping(tree.value).get("changes"))), len(tree.marks)
    if changes > MAX_CHANGES:
        raise _TooMuchError(f"the document has {changes} changes; {MAX_CHANGES} are allowed")
    if values * (changes + 1) > MAX_JUDGED:
        raise _TooMuchError(
            f"a document of {values} values with {changes} changes is too much to judge"
        )


def _refuse_long_texts(document: object) -> None:
    """Raise _TooMuchError for a document whose texts are too long together."""
    characters = size_of({"": document}).characters
    if characters > MAX_CHARACTERS:
        raise _TooMuchError(
            f"the texts of the document have {characters} characters in all;"
            f" at most {MAX_CHARACTERS} are allowed"
        )


def _read(tree: Tree, value: object, place: Place) -> Value:
    number = len(tree.marks)
    if len(place) > MAX_DEPTH:
        raise _TooMuchError(f"the document is nested more than {MAX_DEPTH} levels deep")
    if number > MAX_SENT:
        raise _TooMuchError(f"the document holds more than {MAX_SENT} values")
    tree.marks[place] = Mark("", number, 0)
    if isinstance(value, Mapping):
        return dict(_pairs(tree, value, place))
    if isinstance(value, list | tuple):
        return [_read(tree, item, (*place, i)) for i, item in enumerate(value)]
    return _scalar(tree, value, place)


def _pairs(tree: Tree, value: Mapping[object, object], place: Place) -> Iterator[tuple[str, Value]]:
    for key, item in value.items():
        if isinstance(key, str):
            yield key, _read(tree, item, (*place, key))
        else:
            tree.mistakes.append(tree.mistake(place, f"a key must be a text, not {key!r}"))


def _scalar(tree: Tree, value: object, place: Place) -> Value:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**MAX_NUMBER_LENGTH else _meaningless(tree, place)
    if isinstance(value, float | Decimal):
        return _number(tree, Decimal(str(value)), place)
    if not isinstance(value, str):
        tree.mistakes.append(
            tree.mistake(place, f"{type(value).__name__} is no value of a scenario")
        )
        return None
    if _VARIABLE.search(value):
        tree.mistakes.append(tree.mistake(place, _NO_VARIABLES))
    return value.replace("$${", "${")


def _number(tree: Tree, value: Decimal, place: Place) -> Value:
    if not value.is_finite() or not -MAX_NUMBER_LENGTH < value.adjusted() < MAX_NUMBER_LENGTH:
        return _meaningless(tree, place)
    return Decimal(f"{value:f}")


def _meaningless(tree: Tree, place: Place) -> Value:
    message = f"a number has {MAX_NUMBER_LENGTH} digits at the most before or after its point"
    tree.mistakes.append(tree.mistake(place, message))
    return None


def _files(value: Value) -> Iterator[Place]:
    """Where media rules name local files, now or from a change on."""
    root = mapping(value)
    changed = enumerate(mapping(mapping(node).get("set")) for node in items(root.get("changes")))
    parts: list[tuple[Place, dict[str, Value]]] = [((), root)]
    parts += [(("changes", number, "set"), part) for number, part in changed]
    for place, part in parts:
        for number, rule in enumerate(items(part.get("media"))):
            if "file" in mapping(rule):
                yield (*place, "media", number, "file")
