"""Scenarios that a request or a program sends as a document instead of a file.

The format is that of scenario files, without the features that could read this machine:
a document extends scenarios only by name, refers to no file, and uses no environment variable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

from upsim.core.provider import Provider
from upsim.core.suggestions import shown
from upsim.scenario.changes import MAX_CHANGES
from upsim.scenario.faults.size_limits import size_of
from upsim.scenario.loader import Library, ScenarioError, built
from upsim.scenario.merging import merged
from upsim.scenario.model import Scenario
from upsim.scenario.yaml_tree import MAX_DEPTH, Mark, Mistake, Place, Tree, Value, items, mapping

SENT = "request body"
"""The name of such a scenario; no file has it, because file names contain a slash or .yaml."""
MAX_SENT = 4_000
"""Maximum values in a document; the largest baseline has half of that."""
MAX_CHARACTERS = 5_000_000
"""Characters of all texts and keys of a document; its faults may hold 4,000,000 of them."""
MAX_JUDGED = 40_000
"""Maximum values that are validated: those of a document, times its changes plus one."""
MAX_NUMBER_LENGTH = 30
"""Maximum digits of a number; a longer one stays text, as in files."""
_VARIABLE = re.compile(r"(?<!\$)\$\{")
_NO_VARIABLES = "environment variables cannot be used here; write $${ for a literal ${"
_NO_FILES = (
    "files of the server cannot be used here; write duration, size and fps,"
    " or use a clip below /media/ in the request"
)
_NEEDS_BASE = "extends is missing; write extends: <provider>/baseline"


class _TooMuchError(Exception):
    """A document is too large; reading stops when this is raised."""


def load_inline(
    library: Library, document: Mapping[str, object], providers: Mapping[str, Provider]
) -> Scenario:
    """Return the scenario of a document. Raises ScenarioError with all of its mistakes."""
    tree, folder = _resolved(library, sent_tree(document))
    mistakes = library.mistakes_in(tree, providers)
    if mistakes:
        raise ScenarioError(mistakes)
    return built(SENT, tree, folder)


def sent_tree(document: object) -> Tree:
    """Return the tree of a document; its marks have no file, and count values instead of lines."""
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
    """Return a document, or any value in one, as JSON data."""
    if isinstance(value, Mapping):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def _resolved(library: Library, tree: Tree) -> tuple[Tree, Path]:
    """Return the document merged with its base, and the folder of that base."""
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
        return f"{shown(parent)} is not a scenario's name; write, for example, <provider>/baseline"
    near = library.near(parent)
    hint = f"did you mean {', '.join(near)}?" if near else "GET /__sim/scenarios lists them"
    return f"there is no built-in scenario {shown(parent)}, and paths are not allowed here; {hint}"


def _refuse_labour(tree: Tree) -> None:
    """Raise _TooMuchError for a document whose validation would block the server for long."""
    changes, values = len(items(mapping(tree.value).get("changes"))), len(tree.marks)
    if changes > MAX_CHANGES:
        raise _TooMuchError(
            f"the document has {changes} changes; at most {MAX_CHANGES} are allowed"
        )
    if values * (changes + 1) > MAX_JUDGED:
        raise _TooMuchError(
            f"a document of {values} values with {changes} changes is too large to validate"
        )


def _refuse_long_texts(document: object) -> None:
    """Raise _TooMuchError for a document whose texts together are too long."""
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
        raise _TooMuchError(f"the document has more than {MAX_SENT} values")
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
            tree.mistake(place, f"a scenario cannot contain a {type(value).__name__}")
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
    message = f"a number has at most {MAX_NUMBER_LENGTH} digits before or after its point"
    tree.mistakes.append(tree.mistake(place, message))
    return None


def _files(value: Value) -> Iterator[Place]:
    """Yield the places of local files in media rules, at start and in changes."""
    root = mapping(value)
    changed = enumerate(mapping(mapping(node).get("set")) for node in items(root.get("changes")))
    parts: list[tuple[Place, dict[str, Value]]] = [((), root)]
    parts += [(("changes", number, "set"), part) for number, part in changed]
    for place, part in parts:
        for number, rule in enumerate(items(part.get("media"))):
            if "file" in mapping(rule):
                yield (*place, "media", number, "file")
