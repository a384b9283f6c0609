"""Scenario files that were edited: read beside the old ones, judged, and only then in force."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from upsim.engine.edits import Edit, edit_of
from upsim.engine.registry import Registry
from upsim.engine.rulebook import Swap
from upsim.engine.sandbox import Sandbox
from upsim.engine.swaps import ScenarioOf, swaps_of
from upsim.scenario.loader import BASELINE, Library, ScenarioError
from upsim.scenario.model import Scenario
from upsim.scenario.tree import Mistake


class Follow(NamedTuple):
    """What holds in a sandbox from now on, and what is planned for later."""

    sandbox: Sandbox
    now: Swap
    later: list[Swap]

    def apply(self) -> None:
        """Let it hold."""
        self.sandbox.rulebook.swap(self.now, "reload")
        self.sandbox.rulebook.plan(self.later)


def reload(registry: Registry, fresh: Library) -> list[Edit]:
    """Let the scenarios in use hold as a fresh library reads them, for what is accepted from now.

    Sandboxes whose scenario was sent as a document stay in what they were made with.
    Gives what became of each whose files are not as they were. Raises ScenarioError,
    UnknownScenarioError or BaselineError, and then everything stays as it is.
    """
    chosen = [(box, registry.chosen_for(box)) for box in registry.sandboxes.values()]
    boxes = [(box, name) for box, name in chosen if not isinstance(name, Scenario)]
    names = dict.fromkeys(name for _, name in boxes if name)
    baselines = [name for name in registry.library.loaded if name.endswith(f"/{BASELINE}")]
    _judge(registry, fresh, [*names, *baselines])
    for name in (*names, *baselines):
        fresh.load(name)
    mains = [fresh.load(name) if name else None for _, name in boxes]
    follows = [followed(box, fresh, main) for (box, _), main in zip(boxes, mains, strict=True)]
    edits = [
        edit_of(name, registry.library, fresh)
        for name in dict.fromkeys((*names, *baselines))
        if not fresh.is_as_in(registry.library, name)
    ]
    edited = [edit.name for edit in edits if edit.name in baselines]
    registry.take(fresh)
    for follow, main in zip(follows, mains, strict=True):
        box = follow.sandbox
        read = sorted({*edited, *([main.name] if main else [])})
        box.commands.reread({name: fresh.load(name).values for name in read})
        follow.apply()
    return edits


def _judge(registry: Registry, fresh: Library, names: Iterable[str]) -> None:
    """Raise ScenarioError for whatever is wrong in the files that are not as they were."""
    mistakes: set[Mistake] = set()
    for name in names:
        if not fresh.is_as_in(registry.library, name):
            mistakes.update(fresh.judged(name, registry.providers))
    if mistakes:
        raise ScenarioError(sorted(mistakes))


def followed(sandbox: Sandbox, fresh: Library, main: Scenario | None) -> Follow:
    """What a sandbox will be in. Raises BaselineError for rules that it cannot have."""
    sandbox.settle()
    now = Swap(sandbox.now, ScenarioOf(fresh, main), main.faults if main else ())
    sandbox.rulebook.check(now.scenario_of)
    planned = swaps_of(sandbox, fresh, main)
    due = [swap for swap in planned if swap.at <= sandbox.now]
    return Follow(sandbox, due[-1] if due else now, planned[len(due) :])
