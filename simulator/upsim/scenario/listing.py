"""List the scenarios of a library, without validating them."""

from __future__ import annotations

from dataclasses import dataclass

from upsim.scenario.explain import short
from upsim.scenario.loader import Library


@dataclass(frozen=True, slots=True)
class Listed:
    """The name, provider and summary of one scenario."""

    name: str
    provider: str
    summary: str
    template: str | None = None
    """The file in `scenarios` that this scenario of every provider comes from (None: its own)."""

    @property
    def short(self) -> str:
        """The name without the provider."""
        return self.name.partition("/")[2]


def listing(library: Library) -> list[Listed]:
    """Return every scenario of the library, by name."""
    return [_listed(library, name) for name in library.names()]


def _listed(library: Library, name: str) -> Listed:
    template = library.template_of(name)
    return Listed(
        name=name,
        provider=name.partition("/")[0],
        summary=library.summary_of(name),
        template=None if template is None else short(template),
    )
