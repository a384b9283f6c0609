"""Names in a body or a query that an operation does not use; most are misspelt options."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import islice

from upsim.core import causes
from upsim.core.nearest_names import nearest_of

Reads = Mapping[tuple[str, ...], frozenset[str]]
"""The names that an operation reads in a JSON body, by the path of the object that holds them."""
NO_FIELDS: Mapping[str, str] = {}
NAMED = 3
"""Fields that are named; a body may have very many."""
MAX_PLAIN_LENGTH = 60
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
    idle: Mapping[str, str] = NO_FIELDS,
) -> str:
    """Return a sentence about each unread name, except for the name in `said`.

    The text `where` is written after each name. `query` are the names that the operation reads
    in the query instead of the body. `idle` are fields of the body that the provider accepts
    without effect, each with the reason; a field whose reason is empty has an effect in this
    request. Idle fields are not named if they are null or false, which clients send as a default.
    """
    options = [*options, *(name for name, reason in idle.items() if not reason)]
    known = [".".join((*path, name)) for path, names in reads.items() for name in sorted(names)]
    unread = _unread(reads, options, document)
    fields = (
        (path, name)
        for path, name in unread
        if not _is_about(said, path, name)
        if path or name not in idle or not _is_default(document, name)
    )
    first = islice(fields, NAMED + 1)
    names = [*known, *options]
    sentences = [
        f"{name} has no effect: {idle[name]}"
        if name in idle and not path
        else f"{name} in the body is not read; give it in the query, as ?{name}=…"
        if name in query
        else _elsewhere(reads, options, document, path, name) or _sentence(path, name, names, where)
        for path, name in first
    ]
    more = ["…"] if len(sentences) > NAMED else []
    return "; ".join([*sentences[:NAMED], *more])


def _is_about(said: str, path: tuple[str, ...], name: str) -> bool:
    """Return whether a cause names this field already."""
    return said.startswith((f"{causes.quoted(name)}:", f"{'.'.join((*path, name))}:"))


def _is_default(document: object, name: str) -> bool:
    return isinstance(document, dict) and document.get(name) in (None, False)


def _elsewhere(
    reads: Reads, options: Iterable[str], document: object, path: tuple[str, ...], name: str
) -> str:
    """Return a sentence for an object that contains top-level fields; empty for other fields."""
    inner = _object_at(document, (*path, name))
    if path or not inner or name in reads.get((), ()):
        return ""
    top = {*reads.get((), ()), *(options if len(reads) == 1 else ())}
    came = [one for one in inner if one in top]
    if not came:
        return ""
    shown = causes.quoted(name) if not name.isidentifier() else name
    places = ", ".join(f"{shown}.{one}" for one in came[:NAMED])
    return f"{places} came, but fields belong at the top: send {', '.join(came[:NAMED])} there"


def _sentence(path: tuple[str, ...], name: str, known: Iterable[str], where: str) -> str:
    plain = name.isascii() and name.isidentifier() and len(name) <= MAX_PLAIN_LENGTH
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
