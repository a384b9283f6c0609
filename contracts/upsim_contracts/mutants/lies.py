"""Small lies about a provider: one value of its baseline, slightly changed.

They are generated from the baseline: every value is changed in each way that fits its type.
`<provider>/lies.yaml` adds lies (`also`). It lists lies that no response can show
(`equivalent`) and lies that no fact detects yet (`unnoticed`), each with its reason.
`equivalent.yaml` beside this module lists lies that no response of any provider can show.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from upsim_contracts.documents.openapi import folders
from upsim_contracts.exceptions import ContractFileError, NoContractError
from upsim_contracts.expected_responses import shown
from upsim_contracts.mutants.alterations import Alteration, Kind, alterations
from upsim_contracts.yaml12 import read

FILE = "lies.yaml"
ANYWHERE = "equivalent.yaml"
BASELINE = "baseline.yaml"
FIXED = ("provider", "dialects")
"""What a scenario cannot say otherwise: whose it is, and which dialects there are."""


@dataclass(frozen=True, slots=True)
class Lie:
    """A true value and the false value that replaces it; `place` is the dotted path of the value.

    The lie replaces everything at `path` by `value`. With `renamed`, it renames the key there.
    """

    provider: str
    path: tuple[str, ...]
    value: object
    place: str
    true: object
    said: object
    kind: Kind = "added by hand"
    renamed: str | None = None

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.provider} {self.place}: {shown(self.true)} → {shown(self.said)}"


@dataclass(frozen=True, slots=True)
class Equivalent:
    """Lies that no response can show: a pattern of their places, and the reason.

    `said` limits the entry to lies with this value, `kind` to one kind of lie.
    """

    place: str
    because: str
    said: object = None
    kind: str | None = None

    def covers(self, lie: Lie) -> bool:
        """Return whether this entry applies to a lie."""
        same = self.said is None or self.said == lie.said
        return same and self.kind in (None, lie.kind) and fnmatchcase(lie.place, self.place)


@dataclass(frozen=True, slots=True)
class Lies:
    """The lies about a provider, with the equivalent lies in its own and in the common file."""

    planted: tuple[Lie, ...]
    equivalent: tuple[Equivalent, ...]
    baseline: Mapping[str, Any]
    unnoticed: tuple[Equivalent, ...] = ()
    anywhere: tuple[Equivalent, ...] = ()

    def listed(self, lie: Lie) -> Literal["equivalent", "unnoticed"] | None:
        """Return `equivalent` or `unnoticed` for a listed lie; None for any other lie."""
        if any(entry.covers(lie) for entry in (*self.equivalent, *self.anywhere)):
            return "equivalent"
        return "unnoticed" if any(entry.covers(lie) for entry in self.unnoticed) else None

    def scenario(self, lies: Sequence[Lie]) -> str:
        """Return a scenario of the baseline with these lies, of which no two share a path.

        The scenario extends the baseline by the changed values. It cannot remove a key.
        Therefore, if a lie renames a key, the scenario is a complete changed baseline.
        """
        summary = "; ".join(map(str, lies))[:500]
        if any(lie.renamed for lie in lies):
            whole: Any = self.baseline
            for lie in lies:
                whole = _replaced(whole, lie.path, lie)
            return json.dumps({**whole, "summary": summary}, ensure_ascii=False)
        provider = self.baseline["provider"]
        overlay: dict[str, Any] = {"extends": f"{provider}/baseline", "summary": summary}
        for lie in lies:
            *above, last = lie.path
            node = overlay
            for name in above:
                node = node.setdefault(name, {})
            node[last] = lie.value
        return json.dumps(overlay, ensure_ascii=False)


def lies_about(provider: str, *, baseline: Path | None = None, listed: Path | None = None) -> Lies:
    """Return all lies about a provider. Raises ContractFileError, NoContractError."""
    if provider not in folders():
        raise NoContractError("contract", provider, folders())
    document = read(baseline or baseline_of(provider))
    file = listed or folders()[provider] / FILE
    beside = read(file)
    made = [_lie(provider, one) for one in alterations(document) if one.path[0] not in FIXED]
    made += _further(provider, document, beside.get("also", ()), file)
    anywhere = Path(__file__).with_name(ANYWHERE)
    return Lies(
        tuple(made),
        _listed(file, beside, "equivalent"),
        document,
        _listed(file, beside, "unnoticed"),
        _listed(anywhere, read(anywhere), "equivalent"),
    )


def baseline_of(provider: str) -> Path:
    """Return the file of a provider's baseline: installed, in a checkout, or from another package.

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


def _listed(file: Path, document: Mapping[str, Any], part: str) -> tuple[Equivalent, ...]:
    try:
        return tuple(Equivalent(**entry) for entry in document.get(part, ()))
    except TypeError as error:
        raise ContractFileError(f"{file}: {part}: {error}") from error


def _lie(provider: str, one: Alteration) -> Lie:
    place = ".".join((*one.path, *one.below))
    return Lie(
        provider,
        one.path,
        value=one.whole,
        place=place,
        true=one.true,
        said=one.said,
        kind=one.kind,
        renamed=one.renamed,
    )


def _further(
    provider: str, baseline: Mapping[str, Any], also: Iterable[Mapping[str, Any]], file: Path
) -> list[Lie]:
    """Return the lies that a file adds to the generated lies."""
    found = []
    for entry in also:
        path, said = tuple(entry["path"]), entry["said"]
        true: Any = baseline
        for name in path:
            if name not in true:
                raise ContractFileError(f"{file}: also: there is no {'.'.join(path)}")
            true = true[name]
        if true == said:
            raise ContractFileError(f"{file}: also: {'.'.join(path)} is {shown(true)} already")
        found.append(Lie(provider, path, said, ".".join(path), true, said))
    return found


def _replaced(node: Mapping[str, Any], path: Sequence[str], lie: Lie) -> dict[str, Any]:
    """Return a copy of a mapping in which a lie replaces the true value."""
    name, *rest = path
    if rest:
        return {**node, name: _replaced(node[name], rest, lie)}
    if lie.renamed is None:
        return {**node, name: lie.value}
    return {lie.renamed if key == name else key: value for key, value in node.items()}
