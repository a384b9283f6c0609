"""Names in a body or a query that an operation does not read: most are misspelt options."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import islice

from upsim.core import causes
from upsim.core.nearest import nearest_of

Reads = Mapping[tuple[str, ...], frozenset[str]]
"""The names that an operation reads in a JSON body, by the path of the object that holds them."""
NAMED = 3
"""Fields that are named; a body may have very many."""
LONGEST_PLAIN = 60
"""Characters of a name that is shown without quotes."""


def has_unread(reads: Reads, options: Container[str], document: object) -> bool:
    """Whether a body has a field that is neither read nor an option of its model."""
    for path, names in reads.items():
        found = _object_at(document, path) if path else document
        if isinstance(found, dict):
            for name in found:
                if name not in names and name not in options:
                    return True
    return False


def hint(
    reads: Reads,
    options: Iterable[str],
    document: object,
    said: str,
    where: str = "",
    query: Container[str] = (),
) -> str:
    """A sentence about each unread name except the one that `said` is about; `where` follows it.

    `query` are the names that the operation reads there instead of in the body.
    """
    options = [*options]
    known = [".".join((*path, name)) for path, names in reads.items() for name in sorted(names)]
    unread = _unread(reads, options, document)
    fields = (one for one in unread if not said.startswith(f"{causes.quoted(one[1])}:"))
    first = islice(fields, NAMED + 1)
    names = [*known, *options]
    sentences = [
        in_query(name) if name in query else _sentence(path, name, names, where)
        for path, name in first
    ]
    more = ["…"] if len(sentences) > NAMED else []
    return "; ".join([*sentences[:NAMED], *more])


def in_query(name: str, parameter: str = "") -> str:
    """Say that a field of a body is taken as a parameter of the query."""
    return f"{name} in the body is not read; give it in the query, as ?{parameter or name}=…"


def _sentence(path: tuple[str, ...], name: str, known: Iterable[str], where: str) -> str:
    plain = name.isascii() and name.isidentifier() and len(name) <= LONGEST_PLAIN
    shown = ".".join((*path, name if plain else causes.quoted(name)))
    names = [*known]
    near = nearest_of(name, names)
    beside = [one for one in names if path and one.rpartition(".")[0] == ".".join(path)]
    if near:
        hint = f"; did you mean {near}?"
    else:
        hint = f"; here are read: {', '.join(beside)}" if 0 < len(beside) <= NAMED else ""
    return f"{shown}{where} is not read{hint}"


def _unread(
    reads: Reads, options: Iterable[str], document: object
) -> Iterator[tuple[tuple[str, ...], str]]:
    known = frozenset(options)
    for path, names in reads.items():
        for name in _object_at(document, path) or ():
            if name not in names and name not in known:
                yield path, name


def _object_at(document: object, path: tuple[str, ...]) -> Mapping[str, object] | None:
    found = document
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None
