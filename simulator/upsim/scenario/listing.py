"""List the scenarios of a library, without validating them."""

from __future__ import annotations

from upsim.scenario.explain import short
from upsim.scenario.loader import Library
from upsim.scenario.scenario_search import Listed


def listing(library: Library) -> list[Listed]:
    """Return all scenarios of the library, sorted by name."""
    return [_listed(library, name) for name in library.names()]


def _listed(library: Library, name: str) -> Listed:
    template = library.template_of(name)
    return Listed(
        name=name,
        provider=name.partition("/")[0],
        summary=library.summary_of(name),
        template=None if template is None else short(template),
    )
