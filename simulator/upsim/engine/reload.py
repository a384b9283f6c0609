"""Scenario files that were edited: read beside the old ones, judged, and only then in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from upsim.engine.registry import Registry
from upsim.engine.rulebook import Swap
from upsim.engine.sandbox import Sandbox
from upsim.engine.swaps import ScenarioOf, swaps_of
from upsim.scenario.loader import BASELINE, Library, ScenarioError
from upsim.scenario.tree import Mistake


class Follow(NamedTuple):
    """What holds in a sandbox from now on, and what is planned for later."""

    sandbox: Sandbox
    now: Swap
    later: list[Swap]


def reload(registry: Registry, fresh: Library) -> Mapping[str, str]:
    """Let the scenarios in use hold as a fresh library reads them, for what is accepted from now.

    Gives the hash of the rules of each provider that has others now. Raises ScenarioError,
    UnknownScenarioError or BaselineError, and then everything stays as it is.
    """
    boxes = list(registry.sandboxes.values())
    names = dict.fromkeys(name for box in boxes if (name := registry.main_of(box)))
    baselines = [name for name in registry.library.loaded if name.endswith(f"/{BASELINE}")]
    _judge(registry, fresh, [*names, *baselines])
    for name in (*names, *baselines):
        fresh.load(name)
    follows = [_followed(box, fresh, registry.main_of(box)) for box in boxes]
    registry.take(fresh)
    changed: dict[str, str] = {}
    for box, now, later in follows:
        others = box.rulebook.swap(now, "reload")
        box.rulebook.plan(later)
        changed |= {name: box.scenario_for(name).baseline.digest for name in others}
    return changed


def _judge(registry: Registry, fresh: Library, names: Iterable[str]) -> None:
    """Raise ScenarioError for whatever is wrong in the files that are not as they were."""
    mistakes: set[Mistake] = set()
    for name in names:
        if not fresh.is_as_in(registry.library, name):
            mistakes.update(fresh.judged(name, registry.providers))
    if mistakes:
        raise ScenarioError(sorted(mistakes))


def _followed(sandbox: Sandbox, fresh: Library, name: str | None) -> Follow:
    """What a sandbox will be in. Raises BaselineError for rules that it cannot have."""
    sandbox.settle()
    main = fresh.load(name) if name else None
    now = Swap(sandbox.now, ScenarioOf(fresh, main), main.faults if main else ())
    sandbox.rulebook.check(now.scenario_of)
    planned = swaps_of(sandbox, fresh, main)
    due = [swap for swap in planned if swap.at <= sandbox.now]
    return Follow(sandbox, due[-1] if due else now, planned[len(due) :])
