"""Small lies about what a provider documents: one value of its baseline, a little different.

They are made from the baseline itself. `<provider>/lies.yaml` names the sources whose values are
changed (`pages`), adds lies (`also`), and lists those that nobody can tell by what the provider
answers, each with its reason (`equivalent`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from upsim_contracts.documents import folders
from upsim_contracts.exceptions import ContractFileError, NoContractError
from upsim_contracts.matching import shown
from upsim_contracts.yaml12 import read

FILE = "lies.yaml"
BASELINE = "baseline.yaml"
NOT_ANSWERS = ("sources", "dialects", "knobs")
"""Parts of a baseline that say where facts come from and how to choose among them."""
ASIDE = ("evidence", "variants")
"""What an entry holds beside its values: a variant acts under a knob that is off by default."""
A_DAY = "86400"
FINE = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Lie:
    """A documented value, and what a lie says instead; `place` is the dotted path of the value."""

    provider: str
    path: tuple[str, ...]
    value: object
    place: str
    true: object
    said: object

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.provider} {self.place}: {shown(self.true)} → {shown(self.said)}"

    def scenario(self) -> str:
        """A scenario that is the baseline but for this value."""
        *above, last = self.path
        overlay: dict[str, object] = {last: self.value}
        for name in reversed(above):
            overlay = {name: overlay}
        text = {"extends": f"{self.provider}/baseline", "summary": f"{self}", **overlay}
        return json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Equivalent:
    """Lies that nobody can tell: a pattern of their places, and why.

    `said` narrows it down to what one lie says.
    """

    place: str
    because: str
    said: object = None

    def covers(self, lie: Lie) -> bool:
        """Whether this entry speaks of a lie."""
        same = self.said is None or self.said == lie.said
        return same and fnmatchcase(lie.place, self.place)


@dataclass(frozen=True, slots=True)
class Lies:
    """The lies about a provider, and which of them are equivalent to the truth."""

    planted: tuple[Lie, ...]
    equivalent: tuple[Equivalent, ...]


def lies_about(provider: str, *, baseline: Path | None = None, listed: Path | None = None) -> Lies:
    """All lies about a provider. Raises ContractFileError, NoContractError."""
    if provider not in folders():
        raise NoContractError("contract", provider, folders())
    document = read(baseline or baseline_of(provider))
    file = listed or folders()[provider] / FILE
    beside = read(file)
    made = [
        *_lies(provider, document, beside["pages"]),
        *_further(provider, document, beside, file),
    ]
    try:
        known = tuple(Equivalent(**entry) for entry in beside.get("equivalent", ()))
    except TypeError as error:
        raise ContractFileError(f"{file}: equivalent: {error}") from error
    return Lies(tuple(made), known)


def baseline_of(provider: str) -> Path:
    """The file of a provider's baseline: installed, in a checkout, or brought by the provider.

    Raises ContractFileError.
    """
    spec = find_spec("upsim")
    package = Path(spec.origin).parent if spec and spec.origin else Path()
    beside = [package / "_scenarios", package.parents[1] / "scenarios"]
    places = [folder / provider / BASELINE for folder in beside]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise ContractFileError(f"{provider} has no {BASELINE}: looked at {places}")
    return found


def _lies(provider: str, baseline: Mapping[str, Any], pages: Collection[str]) -> Iterator[Lie]:
    for path, value in _documented((), baseline, pages, told=False):
        if path[0] not in NOT_ANSWERS:
            for place, true, false, whole in _changed(value):
                yield Lie(provider, path, whole, ".".join((*path, *place)), true, false)


def _documented(
    path: tuple[str, ...], node: object, pages: Collection[str], *, told: bool
) -> Iterator[tuple[tuple[str, ...], object]]:
    """The values for which the nearest evidence names one of the pages, each with its path."""
    if not isinstance(node, Mapping):
        if told:
            yield path, node
        return
    evidence = node.get("evidence")
    if isinstance(evidence, Mapping):
        told = evidence.get("grade") == "documented" and evidence.get("source") in pages
    for name, inner in node.items():
        if name not in ASIDE:
            yield from _documented((*path, str(name)), inner, pages, told=told)


def _further(
    provider: str, baseline: Mapping[str, Any], beside: Mapping[str, Any], file: Path
) -> Iterator[Lie]:
    """The lies that a file adds to those that are made."""
    for entry in beside.get("also", ()):
        path, said = tuple(entry["path"]), entry["said"]
        true: Any = baseline
        for name in path:
            if name not in true:
                raise ContractFileError(f"{file}: also: there is no {'.'.join(path)}")
            true = true[name]
        if true == said:
            raise ContractFileError(f"{file}: also: {'.'.join(path)} is {shown(true)} already")
        yield Lie(provider, path, said, ".".join(path), true, said)


Change = tuple[tuple[str, ...], object, object, object]
"""Where below a value something is changed, what stood there, what is said instead; the whole."""


def _changed(value: object) -> Iterator[Change]:
    """Each way in which a value can be a little different."""
    if isinstance(value, list):
        yield from _changed_list(value)
    else:
        for false in _others(value):
            yield (), value, false, false


def _changed_list(rows: Sequence[object]) -> Iterator[Change]:
    for number, row in enumerate(rows):
        if len(rows) > 1:
            rest = [*rows[:number], *rows[number + 1 :]]
            yield (str(number),), row, "nothing", rest
        if isinstance(row, Mapping):
            yield from _changed_row(rows, number, row)
            if number:
                swapped = [*rows[: number - 1], row, rows[number - 1], *rows[number + 1 :]]
                yield (str(number),), row, "the row before", swapped


def _changed_row(rows: Sequence[object], number: int, row: Mapping[str, Any]) -> Iterator[Change]:
    for name, value in row.items():
        if name in ASIDE:
            continue
        for place, true, false, whole in _changed(value):
            changed = [*rows[:number], {**row, name: whole}, *rows[number + 1 :]]
            yield (str(number), name, *place), true, false, changed


def _others(value: object) -> Iterator[object]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
    elif isinstance(value, str):
        yield from _other_texts(value)
    elif value is None:
        yield A_DAY


def _other_texts(text: str) -> Iterator[str]:
    try:
        number = Decimal(text)
    except InvalidOperation:
        yield f"{text}x"
        return
    step = Decimal((0, (1,), int(number.as_tuple().exponent)))
    steps = {step, FINE} if step == 1 else {step}
    for size in sorted(steps, reverse=True):
        yield from (f"{number + size:f}", f"{number - size:f}")
