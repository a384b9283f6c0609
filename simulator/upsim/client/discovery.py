"""Finding the adapters: the module `client` of every provider's folder, by walking them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.metadata import entry_points
from importlib.util import find_spec
from pkgutil import iter_modules
from types import MappingProxyType

from upsim.client.adapter import Adapter
from upsim.client.exceptions import UnknownAdapterError

PROVIDERS = "upsim.providers"
"""The package that is walked, and the entry-point group of providers from elsewhere."""


def adapter(provider: str) -> Adapter:
    """The adapter of a provider, imported when it is asked for. Raises UnknownAdapterError."""
    found = _modules().get(provider)
    if found is None:
        known = ", ".join(_modules())
        raise UnknownAdapterError(f"no client adapter for {provider!r}; there are {known}")
    loaded: Adapter = import_module(found).ADAPTER
    return loaded


def providers() -> tuple[str, ...]:
    """The providers that have an adapter, by name."""
    return tuple(_modules())


@cache
def _modules() -> Mapping[str, str]:
    """The name of the adapter's module, by provider."""
    package = import_module(PROVIDERS)
    packages = {p.name: f"{PROVIDERS}.{p.name}" for p in iter_modules(package.__path__) if p.ispkg}
    packages |= {point.name: point.module for point in entry_points(group=PROVIDERS)}
    modules = {name: f"{package}.client" for name, package in sorted(packages.items())}
    return MappingProxyType({name: m for name, m in modules.items() if _is_there(m)})


def _is_there(module: str) -> bool:
    """Whether a package has this module; the package itself is not imported to find out."""
    package = find_spec(module.rpartition(".")[0])
    locations = package.submodule_search_locations if package else None
    return locations is not None and PathFinder.find_spec(module, locations) is not None
