"""The mutants as data: what is wrong, how it is made wrong, and who must notice.

A mutant is an `overlay` (a piece of a scenario that changes the provider's facts) or a `patch`
(a text in a module's source, which stands there once, and what stands there instead).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upsim_contracts.exceptions import ContractFileError
from upsim_contracts.yaml12 import read_exact

FOLDER = Path(__file__).parent / "catalogue"


@dataclass(frozen=True, slots=True)
class Patch:
    """A change of source: `old` stands once in the module."""

    module: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong simulator. `fact` or `test` is the killer; a test is `file::name` of the suite."""

    id: str
    wrong: str
    provider: str
    fact: str | None = None
    test: str | None = None
    overlay: Mapping[str, Any] | None = None
    patch: Patch | None = None

    @property
    def killer(self) -> str:
        """Who must notice."""
        return f"fact {self.fact}" if self.fact is not None else f"test {self.test}"


def mutants(folder: Path = FOLDER) -> Iterator[Mutant]:
    """All mutants, by file and place. Raises ContractFileError for one that is not well formed."""
    seen: set[str] = set()
    for path in sorted(folder.glob("*.yaml")):
        for entry in read_exact(path)["mutants"]:
            mutant = _mutant(path, {"provider": path.stem, **entry})
            if mutant.id in seen:
                raise ContractFileError(f"{path}: {mutant.id!r} stands twice")
            seen.add(mutant.id)
            yield mutant


def _mutant(path: Path, entry: Mapping[str, Any]) -> Mutant:
    fields = dict(entry)
    if "patch" in fields:
        fields["patch"] = Patch(**fields["patch"])
    found = Mutant(**fields)
    if (found.fact is None) == (found.test is None):
        raise ContractFileError(f"{path}: {found.id!r} names either a fact or a test as its killer")
    if (found.overlay is None) == (found.patch is None):
        raise ContractFileError(f"{path}: {found.id!r} is either an overlay or a patch")
    return found
