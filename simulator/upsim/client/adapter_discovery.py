"""Find the adapters: the file `client.py` in the folder of each provider.

Only that file of this package's providers is imported; the other modules are for the server.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import MappingProxyType, ModuleType

from upsim.client.adapter import Adapter
from upsim.client.argument_checks import check_text
from upsim.client.exceptions import UnknownAdapterError
from upsim.core.suggestions import nearest_to, shown
from upsim.scenario.loader import Library

PROVIDERS = "upsim.providers"
"""The package that is searched, and the entry-point group of outside providers."""


def adapter(provider: str) -> Adapter:
    """Import and return the adapter of a provider. Raises UnknownAdapterError."""
    found = _files().get(check_text("provider", provider, repr(next(iter(_files())))))
    if found is None:
        hint = nearest_to(provider, _files())
        raise UnknownAdapterError(f"no client adapter for {shown(provider)}; {hint}")
    loaded: Adapter = _module(*found).ADAPTER
    return loaded


def providers() -> tuple[str, ...]:
    """Return the names of the providers that have an adapter."""
    return tuple(_files())


@cache
def library() -> Library:
    """Return the facts of all providers."""
    return Library(folders=_scenarios)


@cache
def _files() -> Mapping[str, tuple[str, Path]]:
    """Return the module name and the file of each provider's adapter."""
    own = Path(__file__).parent.parent / PROVIDERS.rpartition(".")[2]
    folders = {path.parent.name: path.parent for path in own.glob("*/__init__.py")}
    found = {name: (f"{PROVIDERS}.{name}.client", path) for name, path in folders.items()}
    for name, point in _outside().items():
        spec = find_spec(point.module)
        for place in (spec.submodule_search_locations if spec else None) or ():
            found[name] = (f"{point.module}.client", Path(place))
    there = {name: (module, path / "client.py") for name, (module, path) in sorted(found.items())}
    return MappingProxyType({name: place for name, place in there.items() if place[1].is_file()})


def _module(name: str, path: Path) -> ModuleType:
    """Import a module by its name; import its package only if the package is not upsim."""
    if name in sys.modules:
        return sys.modules[name]
    if not name.startswith(f"{PROVIDERS}."):
        return import_module(name)
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:  # pragma: no cover - a .py file has a loader
        raise UnknownAdapterError(f"{path} cannot be imported")
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _outside() -> Mapping[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=PROVIDERS)}


def _scenarios() -> Mapping[str, Path]:
    """Return the folders of facts of the providers that other packages add."""
    brought = {name: getattr(point.load(), "scenarios", None) for name, point in _outside().items()}
    return {name: folder for name, folder in brought.items() if isinstance(folder, Path)}
