"""How the rules of a sandbox change: by a reload, or as its scenario plans.

A change is an event like any other. Its effects happen here, in this order:

1. Accounts whose plan no longer exists get another plan.
2. Faults are armed again.
3. Queued jobs start if slots became free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from upsim.core.events import AccountChanged, ChangeApplied, ChangesPlanned, Event, RulesChanged
from upsim.core.faults import FaultRule
from upsim.core.instants import Instant
from upsim.engine.accounts import Accounts
from upsim.engine.jobs import Jobs
from upsim.engine.planned_faults import PlannedFaults
from upsim.engine.rule_versions import RulesId, RuleVersions, ScenarioFor
from upsim.engine.timeline import Timeline


class RuleChange(NamedTuple):
    """Changed rules, and the time from which they apply."""

    at: Instant
    scenario_of: ScenarioFor
    faults: tuple[FaultRule, ...] = ()


class PlannedRules(NamedTuple):
    """The rules of a sandbox, the changes that it plans, and the faults that its scenario arms."""

    versions: RuleVersions
    changes: tuple[RuleChange, ...]
    faults: tuple[FaultRule, ...]


class RuleChanges:
    """Changes the rules of one sandbox, now or at planned times."""

    __slots__ = (
        "_accounts",
        "_faults",
        "_jobs",
        "_on_changed",
        "_plan",
        "_rules",
        "_timeline",
    )

    def __init__(
        self,
        timeline: Timeline,
        rules: RuleVersions,
        *,
        accounts: Accounts,
        faults: PlannedFaults,
        jobs: Jobs,
        on_changed: Callable[[], None],
    ) -> None:
        """Start without planned changes. `on_changed` is called when other rules take effect."""
        self._timeline = timeline
        self._rules = rules
        self._accounts = accounts
        self._faults = faults
        self._jobs = jobs
        self._on_changed = on_changed
        self._plan: tuple[RuleChange, ...] = ()

    def plan(self, changes: Iterable[RuleChange]) -> None:
        """Plan to apply each of these rules at its time; an earlier plan is dropped."""
        timeline, before = self._timeline, self._plan
        self._plan = tuple(changes)
        if before or self._plan:
            instants = tuple(change.at for change in self._plan)
            timeline.commit(ChangesPlanned(timeline.now, instants))

    def planned_rules(self) -> PlannedRules:
        """Return a copy of the rules and of the plan, with which another sandbox can continue."""
        return PlannedRules(self._rules.copy(), self._plan, self._faults.planned)

    def continue_with(self, planned: PlannedRules) -> None:
        """Continue a plan whose instants, and what took place of it, are in the state."""
        self._plan = planned.changes
        self._faults.planned = planned.faults

    def apply_planned(self, number: int) -> None:
        """Apply a planned change, also to accounts for which it sets a balance or plan."""
        self._timeline.commit(ChangeApplied(self._timeline.now, number))
        before = self._rules.account_rules()
        self.apply(self._plan[number], "change")
        for account in list(self._timeline.state.accounts.values()):
            rule = self._rules.scenario(account.provider).accounts.get(account.provider)
            if rule is not None and rule != before[account.provider]:
                self._accounts.apply_rule(account, rule)

    def apply(self, change: RuleChange, cause: str) -> None:
        """Apply other rules from now on."""
        timeline = self._timeline
        jobs = timeline.state.jobs.values()
        used = {RulesId(job.accepted.provider, job.accepted.rules) for job in jobs}
        changed = self._rules.replace(change.scenario_of, used)
        for event in self._events(changed, cause):
            timeline.commit(event)
        self._on_changed()
        self._faults.replace(change.faults)
        for account in list(timeline.state.accounts.values()):
            if account.provider in changed and account.queue:
                self._jobs.start_queued(account)

    def _events(self, changed: list[str], cause: str) -> list[Event]:
        """Return the event of the change, and events for accounts whose plan no longer exists."""
        now, state = self._timeline.now, self._timeline.state
        events: list[Event] = []
        for provider in changed:
            baseline = self._rules.scenario(provider).baseline
            events.append(RulesChanged(now, provider, baseline.digest, cause))
            events += [
                AccountChanged(now, account.number, baseline.plan)
                for account in state.accounts.values()
                if account.provider == provider and account.plan not in baseline.plans
            ]
        return events
