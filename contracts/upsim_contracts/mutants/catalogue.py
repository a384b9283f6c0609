"""Read the mutants: the mistake, how it is planted, and the fact or test that must fail.

A mutant is an `overlay` or a `patch`. An overlay is a piece of a scenario that changes the
provider's values. A patch replaces a text that occurs once in a module's source. A list of
patches is needed if the same check exists in two places.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upsim_contracts.exceptions import ContractFileError
from upsim_contracts.yaml12 import read_exact

FOLDER = Path(__file__).parent / "catalogue"


@dataclass(frozen=True, slots=True)
class SourcePatch:
    """A change of source code: `new` replaces `old`, which occurs once in the module."""

    module: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong simulator.

    `fact` or `test` must detect it; a test is `file::name` of the suite.
    """

    id: str
    wrong: str
    provider: str
    fact: str | None = None
    test: str | None = None
    overlay: Mapping[str, Any] | None = None
    patches: tuple[SourcePatch, ...] = ()

    @property
    def change(self) -> str:
        """Return the change in a form in which two changes can be compared."""
        overlay = [self.provider, self.overlay] if self.overlay is not None else None
        patches = [(one.module, one.old, one.new) for one in self.patches]
        return json.dumps([overlay, patches], sort_keys=True, default=str)

    @property
    def killer(self) -> str:
        """Return the fact or test that must notice the mutant."""
        return f"fact {self.fact}" if self.fact is not None else f"test {self.test}"


def mutants(folder: Path = FOLDER) -> Iterator[Mutant]:
    """Yield all mutants, by file and position.

    Raises ContractFileError if a mutant is malformed.
    """
    seen: set[str] = set()
    wrongs: dict[str, str] = {}
    for path in sorted(folder.glob("*.yaml")):
        for entry in read_exact(path).get("mutants", ()):
            mutant = _mutant(path, {"provider": path.stem, **entry})
            if mutant.id in seen:
                raise ContractFileError(f"{path}: {mutant.id!r} is defined twice")
            seen.add(mutant.id)
            twin = wrongs.setdefault(mutant.change, mutant.id)
            if twin != mutant.id:
                raise ContractFileError(f"{path}: {mutant.id!r} is {twin!r} under another name")
            yield mutant


def _mutant(path: Path, entry: Mapping[str, Any]) -> Mutant:
    fields = dict(entry)
    name = fields.get("id", "one without an id")
    given = fields.pop("patch", [])
    try:
        patches = tuple(
            SourcePatch(**one) for one in (given if isinstance(given, list) else [given])
        )
        found = Mutant(**fields, patches=patches)
    except TypeError as error:
        raise ContractFileError(f"{path}: {name!r}: {error}") from error
    if (found.fact is None) == (found.test is None):
        raise ContractFileError(f"{path}: {name!r} names either a fact or a test as its killer")
    if (found.overlay is None) == (not found.patches):
        raise ContractFileError(f"{path}: {name!r} is either an overlay or a patch")
    if found.overlay is not None and found.test is not None:
        raise ContractFileError(f"{path}: {name!r} is an overlay, which only facts can notice")
    return found
