"""Plant a mistake in a simulator: import a module with changed source, or use a scenario file."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from upsim_contracts.exceptions import StaleMutantError
from upsim_contracts.mutants.catalogue import Mutant, SourcePatch


class _WrongLoader(SourceFileLoader):
    """Compiles the patched source, and does not use the bytecode cache."""

    def __init__(self, fullname: str, path: str, patches: Sequence[SourcePatch]) -> None:
        super().__init__(fullname, path)
        self._patches = patches

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - the form of a loader
        source = Path(self.path).read_text(encoding="utf-8")
        return compile(patched(source, self._patches), self.path, "exec")


class Planter:
    """An import hook that loads patched modules in place of the original modules."""

    def __init__(self, patches: Sequence[SourcePatch]) -> None:
        """Look for the modules of these patches."""
        self._patches = patches
        self._found: set[str] = set()

    @property
    def untouched(self) -> list[str]:
        """The patched modules that were not imported, so that their patches had no effect."""
        return sorted({patch.module for patch in self._patches} - self._found)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a patched module; None for a module without a patch."""
        own = [patch for patch in self._patches if patch.module == fullname]
        found = PathFinder.find_spec(fullname, path) if own else None
        if found is None or found.origin is None:
            return None
        self._found.add(fullname)
        loader = _WrongLoader(fullname, found.origin, own)
        return importlib.util.spec_from_file_location(
            fullname,
            found.origin,
            loader=loader,
            submodule_search_locations=found.submodule_search_locations,
        )


def patched(source: str, patches: Sequence[SourcePatch]) -> str:
    """Return the patched source. Raises StaleMutantError if a text does not occur exactly once."""
    for patch in patches:
        times = source.count(patch.old)
        if times != 1:
            raise StaleMutantError(f"{patch.module}: {patch.old!r} occurs {times} times")
        source = source.replace(patch.old, patch.new)
    return source


def plant(patches: Sequence[SourcePatch]) -> Planter:
    """Make the next import of these modules in this process load the patched source.

    Raises StaleMutantError if a module was imported before.
    """
    for patch in patches:
        if patch.module in sys.modules:
            raise StaleMutantError(f"{patch.module} was imported before it could be made wrong")
    planter = Planter(patches)
    sys.meta_path.insert(0, planter)
    return planter


def scenario_file(mutant: Mutant, folder: Path) -> Path:
    """Write a scenario that adds the mutant's overlay to the provider's baseline."""
    text = {
        "extends": f"{mutant.provider}/baseline",
        "summary": mutant.wrong,
        **(mutant.overlay or {}),
    }
    path = folder / f"{mutant.id}.yaml"
    path.write_text(json.dumps(text, default=str), encoding="utf-8")
    return path
