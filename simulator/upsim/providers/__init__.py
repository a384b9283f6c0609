"""The emulated providers, one folder each; this module only discovers them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, cached_property, partial
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from upsim.core.provider import Provider

ENTRY_POINT_GROUP = "upsim.providers"


class Discovered(Mapping[str, Provider]):
    """Providers by name: searched on first use, and imported one by one on the first use of each.

    So a start does neither.
    """

    def __init__(self, search: Callable[[], Mapping[str, Callable[[], Provider]]]) -> None:
        """Keep `search`, which returns the function that imports each provider."""
        self._search = search
        self._loaded: dict[str, Provider] = {}

    @cached_property
    def _loaders(self) -> Mapping[str, Callable[[], Provider]]:
        return self._search()

    def __getitem__(self, name: str) -> Provider:
        """Return the provider of this name; import it first if necessary."""
        if name not in self._loaded:
            self._loaded[name] = self._loaders[name]()
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        """Return whether there is a provider of this name, without importing it."""
        return name in self._loaders

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the providers."""
        return iter(self._loaders)

    def __len__(self) -> int:
        """Return the number of providers."""
        return len(self._loaders)


@cache
def discover() -> Discovered:
    """Return every provider: the folders of this package, then those of installed packages."""
    return Discovered(_all)


def folders() -> Mapping[str, Path]:
    """Return the scenario folders of providers in other packages, by provider."""
    brought = {name: discover()[name].scenarios for name in _outside()}
    return {name: folder for name, folder in brought.items() if folder is not None}


def kinds(provider: str) -> Mapping[str, str]:
    """Return the operations of a provider with their kinds; none for an unknown provider."""
    found = discover()
    operations = found[provider].operations if provider in found else ()
    return {operation.name: operation.kind for operation in operations}


def _all() -> dict[str, Callable[[], Provider]]:
    Path(__file__).open("rb").close()  # raises OSError where a folder would just look empty
    names = sorted(info.name for info in iter_modules(__path__) if info.ispkg)
    loaders: dict[str, Callable[[], Provider]] = {n: partial(_own, n) for n in names}
    return loaders | _outside()


@cache
def _outside() -> dict[str, Callable[[], Provider]]:
    from importlib.metadata import entry_points

    return {point.name: point.load for point in entry_points(group=ENTRY_POINT_GROUP)}


def _own(name: str) -> Provider:
    found: Provider = import_module(f"{__name__}.{name}").PROVIDER
    return found
