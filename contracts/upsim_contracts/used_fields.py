"""Read the operations and fields that a team uses; they decide which findings matter most.

A YAML file names the operations by provider, and the fields of their responses:

    vicsee:
      POST /api/v1/tools/upscale-video: [data.id, error.code]
      GET /api/v1/credits: all
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal

from upsim_contracts.cassettes.cassette import Cassette
from upsim_contracts.causes.signs import Key, plain_field
from upsim_contracts.documents import undocumented
from upsim_contracts.documents.openapi import dialects, parts, providers
from upsim_contracts.documents.response_checks import Contract, contract, operation_of
from upsim_contracts.documents.webhook_checks import WEBHOOK_OF
from upsim_contracts.exceptions import ContractFileError, UsageError
from upsim_contracts.report_files import write_file
from upsim_contracts.yaml12 import read_given

ALL = "all"
SHOWN = 80
HEAD = """\
# What we rely on: operations of each provider with the fields of their answers that we read, or
# `all` of them. `upsim verify --uses {name}` and `upsim drift --uses {name}` weigh by it.
"""
_BESIDE = frozenset({"new", "new header"})
"""Kinds of change that no client can have relied on."""
Weight = Literal["", "breaks you", "does not touch you"]
ASIDE: Weight = "does not touch you"
"""The weight of what fails no run."""
Place = tuple[str, str]
"""An operation and a place in its response; the operation is empty if it is unknown."""


@dataclass(frozen=True, slots=True)
class UsedFields:
    """The fields that a team reads, by provider and operation; None means all fields."""

    fields: Mapping[str, Mapping[str, frozenset[str] | None]]

    def weigh(self, provider: str, key: Key, places: Iterable[Place]) -> Weight:
        """Return whether a change of these places concerns the team."""
        used = self.fields.get(provider, {})
        if key[0] in _BESIDE:
            return ASIDE
        known = _known(provider)
        touched = any(
            _reads(used[name], where, known[name])
            for operation, where in places
            for name in _named(provider, operation, used)
        )
        return "breaks you" if touched else ASIDE


def _named(
    provider: str, operation: str, used: Mapping[str, frozenset[str] | None]
) -> Iterable[str]:
    """Return the used operations of a finding; all used operations if the finding names none."""
    if not operation:
        return used
    method, _, path = operation.partition(" ")
    names = {operation, *(one.name for one in _operations(provider, method, path))}
    return names & used.keys()


def _operations(provider: str, method: str, path: str) -> Iterator[Any]:
    for dialect in dialects(provider):
        found = operation_of(provider, dialect, method, path)
        if found is not None:
            yield found[1]


def _reads(wanted: frozenset[str] | None, where: str, documented: frozenset[str]) -> bool:
    """Return whether a change at this place concerns a client that reads these fields.

    The status, the charge and the file are no fields: a change of them concerns every client.
    """
    if wanted is None or not any(_overlap(one, where) for one in documented):
        return True
    return any(_overlap(one, where) for one in wanted)


def _overlap(one: str, other: str) -> bool:
    """Return whether two places are equal, or one contains the other."""
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def read_uses(file: Path) -> UsedFields:
    """Return the used fields from a file. Raises UsageError with the place of a mistake."""
    try:
        document = read_given(file)
    except ContractFileError as error:
        raise UsageError(f"--uses: {error}") from error
    if not isinstance(document, dict) or not document:
        raise UsageError(f"--uses: {file}: expected providers, each with its operations")
    return UsedFields({name: _provider(file, name, used) for name, used in document.items()})


def _provider(file: Path, name: str, used: Any) -> dict[str, frozenset[str] | None]:  # noqa: ANN401 - any YAML
    if name not in providers():
        raise UsageError(f"--uses: {file}: {_unknown('provider', name, providers())}")
    if not isinstance(used, dict) or not used:
        raise UsageError(f"--uses: {file}: {name}: expected operations, each with its fields")
    known = _known(name)
    return {
        call: _fields(f"{file}: {name}.{call}", call, read, known) for call, read in used.items()
    }


def _fields(
    place: str,
    call: str,
    wanted: Any,  # noqa: ANN401 - any YAML
    known: Mapping[str, frozenset[str]],
) -> frozenset[str] | None:
    if call not in known:
        raise UsageError(f"--uses: {place}: {_unknown('operation', call, list(known))}")
    if wanted == ALL:
        return None
    if not isinstance(wanted, list) or not all(isinstance(one, str) for one in wanted):
        raise UsageError(
            f"--uses: {place}: expected a list of fields, or {ALL}; found {wanted!r:.80}"
        )
    for one in wanted:
        if one not in known[call]:
            raise UsageError(f"--uses: {place}: {_unknown('field', one, sorted(known[call]))}")
    return frozenset(wanted)


def _unknown(kind: str, name: object, known: Sequence[str]) -> str:
    shown = str(name)[:SHOWN]
    near = get_close_matches(shown, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(known)}"
    return f"no {kind} {shown!r}; {hint}"


@cache
def _known(provider: str) -> dict[str, frozenset[str]]:
    """Return a provider's operations in all dialects, each with its response fields and headers."""
    found: dict[str, frozenset[str]] = {}
    for dialect in dialects(provider):
        for part in parts(provider):
            one = contract(provider, dialect, part)
            for operation in one.operations.values():
                more = frozenset(_answered(one, operation.definition["responses"]))
                found[operation.name] = found.get(operation.name, frozenset()) | more
    return found


def _answered(one: Contract, responses: Mapping[str, Any]) -> Iterator[str]:
    for response in responses.values():
        named = undocumented.resolved(one.document, response)
        yield from (f"header {name.lower()}" for name in named.get("headers", {}))
        for content in named.get("content", {}).values():
            yield from undocumented.paths(one.document, content.get("schema"))


def uses_in(cassette: Cassette) -> UsedFields:
    """Return the operations of a recorded client, with the documented fields in their responses."""
    header = cassette.header
    known, used = _known(header.provider), dict[str, frozenset[str] | None]()
    for exchange in cassette.exchanges:
        place = operation_of(header.provider, header.dialect, exchange.method, exchange.path)
        if place is None or exchange.part != "api":
            continue
        name = place[1].name
        seen = {
            path for path in _paths(exchange.answer.body.get("json"), "") if path in known[name]
        }
        used[name] = (used.get(name) or frozenset()) | seen
    return UsedFields({header.provider: used} if used else {})


def _paths(value: object, path: str) -> Iterator[str]:
    """Yield the fields of a JSON value that contain no further fields, without list positions."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _paths(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        for inner in value:
            yield from _paths(inner, path)
    elif path:
        yield path


def write_uses(file: Path, found: UsedFields) -> None:
    """Write a file of used fields, and keep its present entries. Raises UsageError."""
    before = read_uses(file).fields if file.exists() and file.stat().st_size else {}
    lines = [HEAD.format(name=file.name).rstrip("\n")]
    for provider in sorted({*before, *found.fields}):
        old, new = before.get(provider, {}), found.fields.get(provider, {})
        lines.append(f"{provider}:")
        for name in sorted({*old, *new}):
            both = [one[name] for one in (old, new) if name in one]
            listed = (
                ALL if None in both else ", ".join(sorted(frozenset[str]().union(*map(_set, both))))
            )
            lines.append(f"  {name}: {listed if None in both else f'[{listed}]'}")
    write_file(file, "\n".join(lines) + "\n")


def _set(found: frozenset[str] | None) -> frozenset[str]:
    return found or frozenset()


def place(operation: str, where: str) -> Place:
    """Return the place of a finding, without the response status and without list positions."""
    operation = operation.removeprefix(WEBHOOK_OF)  # it concerns clients that name a webhook there
    name, _, status = operation.rpartition(" ")
    return (name if status.isdigit() else operation), plain_field(where)
