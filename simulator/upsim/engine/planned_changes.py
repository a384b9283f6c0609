"""Find the changes that a scenario plans, and follow a scenario whose files have changed."""

from __future__ import annotations

from typing import NamedTuple

from upsim.core.instants import Instant
from upsim.engine.rule_changes import RuleChange
from upsim.engine.sandbox import Sandbox
from upsim.engine.scenario_lookup import ScenarioLookup
from upsim.scenario.loader import Library
from upsim.scenario.model import Scenario


def planned_changes(sandbox: Sandbox, library: Library, main: Scenario | None) -> list[RuleChange]:
    """Return the changes that a scenario plans. Raises BaselineError for an impossible change."""
    found = changes_of(library, main, sandbox.began)
    for swap, change in zip(found, main.changes if main else (), strict=True):
        sandbox.bound(change.scenario.baseline.provider)
        sandbox.rules.check(swap.scenario_of)
        sandbox.planned_faults.check(swap.faults)
    return found


def changes_of(library: Library, main: Scenario | None, began: Instant) -> list[RuleChange]:
    """Return the changes that a scenario plans for a sandbox that began at an instant.

    Each change includes the earlier changes, and takes effect at the same time or later.
    """
    found: list[RuleChange] = []
    for change in main.changes if main else ():
        at = max(change.instant(began), *(swap.at for swap in found[-1:]), 0)
        lookup = ScenarioLookup(library, change.scenario)
        found.append(RuleChange(at, lookup, change.scenario.faults))
    return found


class Follow(NamedTuple):
    """The rules of a sandbox from now on, and the changes planned for later."""

    sandbox: Sandbox
    now: RuleChange
    later: list[RuleChange]

    def apply(self) -> None:
        """Apply the new rules, and plan the later changes."""
        self.sandbox.rule_changes.apply(self.now, "reload")
        self.sandbox.rule_changes.plan(self.later)


def followed(sandbox: Sandbox, fresh: Library, main: Scenario | None) -> Follow:
    """Return the new rules of a sandbox. Raises BaselineError for rules that it cannot have."""
    sandbox.run_due()
    now = RuleChange(sandbox.now, ScenarioLookup(fresh, main), main.faults if main else ())
    sandbox.rules.check(now.scenario_of)
    planned = planned_changes(sandbox, fresh, main)
    due = [swap for swap in planned if swap.at <= sandbox.now]
    return Follow(sandbox, due[-1] if due else now, planned[len(due) :])
