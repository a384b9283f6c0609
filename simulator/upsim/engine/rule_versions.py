"""The rules of a sandbox: those in force, those of older jobs, and those that are yet to come.

A change of the rules is an event like any other. Calls are decided by the rules in force; a job
keeps the price, the refund, the webhooks and the lifetimes that it was accepted under.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from upsim.core.baseline import rules
from upsim.core.events import AccountChanged, Event, JobAccepted, RulesChanged
from upsim.core.faults import FaultRule
from upsim.core.instants import Instant
from upsim.core.provider import Provider
from upsim.engine.bound_provider import BoundProvider, EndPolicy, bind
from upsim.engine.deadlines import Deadline
from upsim.scenario.model import Scenario

if TYPE_CHECKING:
    from upsim.engine.sandbox import Sandbox

ScenarioOf = Callable[[str], Scenario]
Key = tuple[str, str | None]


class RuleChange(NamedTuple):
    """Other rules, and the instant from which they hold."""

    at: Instant
    scenario_of: ScenarioOf
    faults: tuple[FaultRule, ...] = ()


class RuleVersions:
    """What decides the calls of one sandbox; `swapped` is told of rules that have just changed."""

    def __init__(
        self, sandbox: Sandbox, scenario_of: ScenarioOf, providers: Mapping[str, Provider]
    ) -> None:
        """Begin with one scenario for each provider, looked up when first needed."""
        self.swapped: Callable[[Sandbox, RuleChange], None] = lambda _sandbox, _swap: None
        self._sandbox = sandbox
        self._scenario_of = scenario_of
        self._providers = providers
        self._scenarios: dict[str, Scenario] = {}
        self._bound: dict[Key, BoundProvider] = {}
        self._past: dict[tuple[str, str], Scenario] = {}
        self._past_bound: dict[tuple[str, str, str | None], BoundProvider] = {}
        self._endings: dict[str, EndPolicy] = {}
        self._plan: tuple[RuleChange, ...] = ()
        self._plans = 0

    def scenario(self, provider: str) -> Scenario:
        """The scenario that holds for a provider."""
        found = self._scenarios.get(provider)
        if found is None:
            found = self._scenarios[provider] = self._scenario_of(provider)
        return found

    def bound(self, provider: str, dialect: str | None = None) -> BoundProvider:
        """The provider under the rules in force."""
        found = self._bound.get((provider, dialect))
        if found is None:
            scenario = self.scenario(provider)
            found = self._bound[provider, dialect] = self._bind(provider, scenario, dialect)
        return found

    def bound_of(self, accepted: JobAccepted, dialect: str | None = None) -> BoundProvider:
        """The provider under the rules that a job was accepted under."""
        provider = accepted.provider
        past = self._past.get((provider, accepted.rules)) if self._past else None
        if past is None:
            return self.bound(provider, dialect)
        key = (provider, accepted.rules, dialect)
        found = self._past_bound.get(key)
        if found is None:
            found = self._past_bound[key] = self._bind(provider, past, dialect)
        return found

    def ending_of(self, accepted: JobAccepted) -> EndPolicy:
        """What the end of a job sets in motion, by the rules that it was accepted under."""
        found = self._endings.get(accepted.rules)
        if found is None:
            found = self._endings[accepted.rules] = self.bound_of(accepted).ending
        return found

    # -- other rules

    def check(self, scenario_of: ScenarioOf) -> None:
        """Raise BaselineError for rules that could not take the place of those in force."""
        for provider, dialect in [*self._bound]:
            self._bind(provider, scenario_of(provider), dialect)

    def plan(self, swaps: Iterable[RuleChange]) -> None:
        """Let these rules hold from their instants on, and forget what was planned before."""
        self._plan = tuple(swaps)
        self._plans += 1
        for number, swap in enumerate(self._plan):
            self._sandbox.deadlines.add(swap.at, "change", str(number), self._plans)
        self._sandbox.changes_wait = bool(self._plan)

    def is_planned(self, deadline: Deadline) -> bool:
        """Whether a change is still to come: a newer plan takes the place of all of the older."""
        return deadline.step == self._plans

    def change(self, number: int) -> None:
        """What was planned takes place."""
        self._sandbox.changes_wait = number + 1 < len(self._plan)
        before = {name: found.accounts.get(name) for name, found in self._scenarios.items()}
        self.swap(self._plan[number], "change")
        for account in list(self._sandbox.state.accounts.values()):
            rule = self.scenario(account.provider).accounts.get(account.provider)
            if rule is not None and rule != before[account.provider]:
                self._sandbox.set_account(account, rule)

    def swap(self, swap: RuleChange, cause: str) -> None:
        """Let other rules hold from now on."""
        changed = []
        self._scenario_of = swap.scenario_of
        for provider, old in list(self._scenarios.items()):
            new = self._scenarios[provider] = swap.scenario_of(provider)
            if new.baseline.digest != old.baseline.digest:
                self._past[provider, old.baseline.digest] = old
                changed.append(provider)
        self._bound.clear()
        self._endings.clear()
        self._sandbox.generation += 1
        self._forget_unused()
        for event in self._events(changed, cause):
            self._sandbox.commit(event)
        self.swapped(self._sandbox, swap)
        for account in list(self._sandbox.state.accounts.values()):
            if account.provider in changed and account.queue:
                self._sandbox.start_queued(account)

    def _events(self, changed: list[str], cause: str) -> list[Event]:
        """The change itself, and the accounts whose plan is not in the new rules."""
        now, state = self._sandbox.now, self._sandbox.state
        events: list[Event] = []
        for provider in changed:
            baseline = self._scenarios[provider].baseline
            events.append(RulesChanged(now, provider, baseline.digest, cause))
            events += [
                AccountChanged(now, account.number, baseline.plan)
                for account in state.accounts.values()
                if account.provider == provider and account.plan not in baseline.plans
            ]
        return events

    def _forget_unused(self) -> None:
        """Keep those older rules that a job was accepted under and that are not in force again."""
        used = {
            (job.accepted.provider, job.accepted.rules) for job in self._sandbox.state.jobs.values()
        }
        held = {(name, found.baseline.digest) for name, found in self._scenarios.items()}
        self._past = {key: old for key, old in self._past.items() if key in used - held}
        self._past_bound.clear()

    def _bind(self, provider: str, scenario: Scenario, dialect: str | None) -> BoundProvider:
        choices, known = self._sandbox.choices, scenario.baseline.dialects
        chosen = dialect or choices.dialects.get(provider) or scenario.dialect
        default = choices.default_dialect if choices.default_dialect in known else None
        knobs = {**scenario.knobs, **choices.knobs.get(provider, {})}
        found = rules(scenario.baseline, chosen or default or known[0], knobs)
        return bind(self._providers[provider], found, scenario, self._sandbox.generation)
