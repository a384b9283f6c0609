"""Compare a response with the expected one, written as data, and list the differences.

A plain value must be equal, and a list must match entry by entry. An object must match in the
fields that are named. The words of `WORDS`, such as `{type: string}`, match more loosely.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from upsim_contracts.amounts import amount_of
from upsim_contracts.suggestions import hint

MAX_LENGTH = 200
ABSENT = object()
"""The value of a field that a response does not have."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, Decimal),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference: `where` in the response, the expected value and the seen value, as text."""

    where: str
    expected: str
    seen: str

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.where}: expected {self.expected}, saw {self.seen}"


def mismatches(expected: object, seen: object, where: str = "answer") -> Iterator[Mismatch]:
    """Yield every difference between a response and its expectation."""
    if isinstance(expected, Mapping):
        words = [key for key in expected if key in WORDS]
        if words:
            for word in words:
                yield from _by_word(word, expected[word], seen, where)
        elif not isinstance(seen, Mapping):
            yield Mismatch(where, "an object", shown(seen))
        else:
            for key, inner in expected.items():
                yield from mismatches(inner, at(seen, str(key)), _below(where, str(key)))
    elif isinstance(expected, list):
        if not isinstance(seen, list) or len(seen) != len(expected):
            yield Mismatch(where, shown(expected), shown(seen))
        else:
            for number, (inner, value) in enumerate(zip(expected, seen, strict=True)):
                yield from mismatches(inner, value, f"{where}.{number}")
    elif not _same(expected, seen):
        yield Mismatch(where, shown(expected), shown(seen))


def at(document: object, path: str) -> object:
    """Return the value at a dotted path, `ABSENT` if there is none; a number is a list index."""
    for name in path.split("."):
        if isinstance(document, Mapping):
            document = document.get(name, ABSENT)
        elif isinstance(document, list) and name.isdecimal() and int(name) < len(document):
            document = document[int(name)]
        else:
            return ABSENT
    return document


def shown(value: object) -> str:
    """Return a value as text for people, shortened if it is long."""
    if value is ABSENT:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=_written)
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}…"


def _written(value: object) -> float | str:
    """Return a value that JSON lacks as JSON: a Decimal as a number, other types as text."""
    return float(value) if isinstance(value, Decimal) else str(value)


def _below(where: str, key: str) -> str:
    return key if where == "answer" else f"{where}.{key}"


def _same(expected: object, seen: object) -> bool:
    """Return whether two values are equal in JSON: 1 differs from both "1" and true."""
    if isinstance(expected, bool) or isinstance(seen, bool):
        return expected is seen
    if isinstance(expected, int | Decimal) and isinstance(seen, int | Decimal):
        return expected == seen
    return type(expected) is type(seen) and expected == seen


def _is_type(wanted: Any, seen: object) -> bool:  # noqa: ANN401 - a value of a file
    names = wanted if isinstance(wanted, list) else [wanted]
    return any(
        isinstance(seen, _TYPES[name]) and (name == "boolean" or not isinstance(seen, bool))
        for name in names
    )


def _number(seen: object) -> Decimal | None:
    return Decimal(seen) if isinstance(seen, int | Decimal) and not isinstance(seen, bool) else None


def _at_least(wanted: Any, seen: object) -> bool:  # noqa: ANN401 - a value of a file
    found = _number(seen)
    return found is not None and found >= Decimal(str(wanted))


def _at_most(wanted: Any, seen: object) -> bool:  # noqa: ANN401 - a value of a file
    found = _number(seen)
    return found is not None and found <= Decimal(str(wanted))


def _matches(wanted: Any, seen: object) -> bool:  # noqa: ANN401 - a value of a file
    return isinstance(seen, str) and re.fullmatch(wanted, seen) is not None


def _contains(wanted: Any, seen: object) -> bool:  # noqa: ANN401 - a value of a file
    if isinstance(seen, str):
        return isinstance(wanted, str) and wanted in seen
    return isinstance(seen, list) and any(not list(mismatches(wanted, one)) for one in seen)


def _lacks(wanted: Any, seen: object) -> bool:  # noqa: ANN401 - a value of a file
    return isinstance(seen, str | list) and not _contains(wanted, seen)


def _length(wanted: Any, seen: object) -> bool:  # noqa: ANN401 - a value of a file
    return isinstance(seen, str | list | Mapping) and len(seen) == wanted


WORDS: Mapping[str, Callable[[Any, object], bool]] = {
    "is": _same,
    "type": _is_type,
    "one_of": lambda wanted, seen: any(_same(one, seen) for one in wanted),
    "not": lambda wanted, seen: not _same(wanted, seen),
    "matches": _matches,
    "contains": _contains,
    "lacks": _lacks,
    "at_least": _at_least,
    "at_most": _at_most,
    "length": _length,
    "absent": lambda wanted, seen: (seen is ABSENT) is wanted,
    "each": lambda wanted, seen: (
        isinstance(seen, list) and not any(list(mismatches(wanted, one)) for one in seen)
    ),
    "amount": lambda wanted, seen: amount_of(seen) == Decimal(str(wanted)),
}
"""The looser ways to say what is expected; all words of one object must hold."""


def _by_word(word: Any, wanted: Any, seen: object, where: str) -> Iterator[Mismatch]:  # noqa: ANN401 - of a file
    if word not in WORDS:
        raise KeyError(f"{word!r} is no word of a matcher; {hint(word, WORDS)}")
    if not WORDS[word](wanted, seen):
        yield Mismatch(where, f"{word} {shown(wanted)}", shown(seen))
