"""Making a simulator wrong: a module that is imported with another text, or a scenario file."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from upsim_contracts.exceptions import StaleMutantError
from upsim_contracts.mutants.catalogue import Mutant, Patch


class _WrongLoader(SourceFileLoader):
    """Compiles the patched source, and leaves the bytecode cache alone."""

    def __init__(self, fullname: str, path: str, patch: Patch) -> None:
        super().__init__(fullname, path)
        self._patch = patch

    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path).read_text(encoding="utf-8")
        times = source.count(self._patch.old)
        if times != 1:
            raise StaleMutantError(f"{fullname}: {self._patch.old!r} stands there {times} times")
        return compile(source.replace(self._patch.old, self._patch.new), self.path, "exec")


class _Planter:
    """Finds one module in its wrong form, before anybody else finds it."""

    def __init__(self, patch: Patch) -> None:
        self._patch = patch

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._patch.module:
            return None
        found = PathFinder.find_spec(fullname, path)
        if found is None or found.origin is None:
            return None
        loader = _WrongLoader(fullname, found.origin, self._patch)
        return importlib.util.spec_from_file_location(
            fullname,
            found.origin,
            loader=loader,
            submodule_search_locations=found.submodule_search_locations,
        )


def plant(patch: Patch) -> None:
    """Make the next import of the module give its wrong form, in this process."""
    sys.meta_path.insert(0, _Planter(patch))


def scenario_file(mutant: Mutant, folder: Path) -> Path:
    """A scenario that lays the mutant's overlay over the provider's baseline."""
    text = {
        "extends": f"{mutant.provider}/baseline",
        "summary": mutant.wrong,
        **(mutant.overlay or {}),
    }
    path = folder / f"{mutant.id}.yaml"
    path.write_text(json.dumps(text, default=str), encoding="utf-8")
    return path
