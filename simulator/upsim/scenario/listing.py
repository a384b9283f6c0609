"""What a library holds, without judging any of it."""

from __future__ import annotations

from dataclasses import dataclass

from upsim.scenario.loader import Library
from upsim.scenario.yaml_tree import mapping, read_tree


@dataclass(frozen=True, slots=True)
class Listed:
    """One scenario at a glance."""

    name: str
    provider: str
    summary: str

    @property
    def short(self) -> str:
        """The name without the provider."""
        return self.name.partition("/")[2]


def listing(library: Library) -> list[Listed]:
    """Every scenario of the library, by name."""
    return [_listed(library, name) for name in library.names()]


def _listed(library: Library, name: str) -> Listed:
    value = mapping(read_tree(library.path_of(name)).value)
    return Listed(name, name.partition("/")[0], str(value.get("summary", "")))
