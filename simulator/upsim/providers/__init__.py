"""The emulated providers, one folder each; this module only discovers them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules

from upsim.core.provider import Provider

ENTRY_POINT_GROUP = "upsim.providers"


@cache
def discover() -> Mapping[str, Provider]:
    """Every provider by name: the folders of this package, then those of installed packages."""
    names = [info.name for info in iter_modules(__path__) if info.ispkg]
    found = [import_module(f"{__name__}.{name}").PROVIDER for name in sorted(names)]
    found += [point.load() for point in entry_points(group=ENTRY_POINT_GROUP)]
    return {provider.name: provider for provider in found}
