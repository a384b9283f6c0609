"""Reload edited scenario files: read them beside the old ones, validate, then apply."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from upsim.core.provider import Provider
from upsim.engine.planned_changes import followed
from upsim.engine.registry import Registry
from upsim.engine.reload_diff import ScenarioDiff, diff_scenario
from upsim.scenario.loader import BASELINE, Library, ScenarioError
from upsim.scenario.model import Scenario
from upsim.scenario.yaml_tree import Mistake


def reload(registry: Registry, fresh: Library) -> list[ScenarioDiff]:
    """Apply reloaded scenarios to their sandboxes, for requests that are accepted from now on.

    Sandboxes with an inline scenario do not change. Return a difference for each scenario
    whose files have changed. Raises ScenarioError, UnknownScenarioError or BaselineError, and
    then changes nothing.
    """
    edits = _read(registry.library, fresh, _used(registry), registry.providers)
    _swap(registry, fresh, edits)
    return edits


async def reload_beside(registry: Registry, fresh: Library) -> list[ScenarioDiff]:
    """Reload like `reload`, but read and validate outside of the event loop.

    Scenarios that are first used in the meantime are read too.
    """
    while True:
        old, used = registry.library, _used(registry)
        edits = await asyncio.to_thread(_read, old, fresh, used, registry.providers)
        if registry.library is old and _used(registry) == used:
            _swap(registry, fresh, edits)
            return edits


def _used(registry: Registry) -> tuple[str, ...]:
    """Return the names of the scenarios in use, then of the baselines that were read."""
    chosen = (registry.chosen_for(box) for box in registry.sandboxes.values())
    names = [name for name in chosen if isinstance(name, str)]
    baselines = [name for name in registry.library.loaded if _is_baseline(name)]
    return tuple(dict.fromkeys((*names, *baselines)))


def _is_baseline(name: str) -> bool:
    return name.endswith(f"/{BASELINE}")


def _read(
    old: Library, fresh: Library, names: Iterable[str], providers: Mapping[str, Provider]
) -> list[ScenarioDiff]:
    """Return the differences of the edited scenarios. Raises ScenarioError with all mistakes."""
    edited = [name for name in names if not fresh.is_as_in(old, name)]
    mistakes: set[Mistake] = set()
    for name in edited:
        mistakes.update(fresh.judged(name, providers))
    if mistakes:
        raise ScenarioError(sorted(mistakes))
    for name in names:
        fresh.load(name)
    return [diff_scenario(name, old, fresh) for name in edited]


def _swap(registry: Registry, fresh: Library, edits: list[ScenarioDiff]) -> None:
    """Apply the scenarios that were read. Raises BaselineError, and then changes nothing."""
    chosen = [(box, registry.chosen_for(box)) for box in registry.sandboxes.values()]
    boxes = [(box, name) for box, name in chosen if not isinstance(name, Scenario)]
    mains = [fresh.load(name) if name else None for _, name in boxes]
    follows = [followed(box, fresh, main) for (box, _), main in zip(boxes, mains, strict=True)]
    edited = [edit.name for edit in edits if _is_baseline(edit.name)]
    registry.use_library(fresh)
    for follow, main in zip(follows, mains, strict=True):
        box = follow.sandbox
        read = sorted({*edited, *([main.name] if main else [])})
        box.commands.reread({name: fresh.load(name).values for name in read})
        follow.apply()
        registry.keep(box)
