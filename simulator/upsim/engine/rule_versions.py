"""The rules of a sandbox: the current rules, and the rules of older jobs.

The current rules decide new calls. A job keeps the price, the refund, the webhooks and
the lifetimes of the rules under which it was accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from upsim.core.events import JobAccepted
from upsim.core.knobs_and_dialects import rules
from upsim.core.provider import Provider
from upsim.engine.bound_provider import BoundProvider, EndPolicy, bind
from upsim.engine.settings import SandboxSettings
from upsim.scenario.model import AccountRule, Scenario

ScenarioFor = Callable[[str], Scenario]
Key = tuple[str, str | None]


class RulesId(NamedTuple):
    """The rules of a provider, by their digest."""

    provider: str
    digest: str


class RuleVersions:
    """Looks up the rules for the calls of one sandbox; `generation` counts the changes.

    `began_with` is the scenario lookup at the start.
    """

    __slots__ = (
        "_bound",
        "_choices",
        "_endings",
        "_past",
        "_past_bound",
        "_providers",
        "_scenario_of",
        "_scenarios",
        "began_with",
        "generation",
    )

    def __init__(
        self,
        scenario_of: ScenarioFor,
        providers: Mapping[str, Provider],
        choices: SandboxSettings,
    ) -> None:
        """Begin with one scenario for each provider, looked up when first needed."""
        self.generation = 0
        self.began_with = scenario_of
        self._scenario_of = scenario_of
        self._providers = providers
        self._choices = choices
        self._scenarios: dict[str, Scenario] = {}
        self._bound: dict[Key, BoundProvider] = {}
        self._past: dict[RulesId, Scenario] = {}
        self._past_bound: dict[tuple[str, str, str | None], BoundProvider] = {}
        self._endings: dict[str, EndPolicy] = {}

    def copy(self) -> RuleVersions:
        """Return the same rules, which change independently from now on."""
        copied = RuleVersions(self.began_with, self._providers, self._choices)
        copied.generation = self.generation
        copied._scenario_of = self._scenario_of
        copied._scenarios, copied._past = self._scenarios.copy(), self._past.copy()
        return copied

    def continue_from(
        self, present: Mapping[str, Scenario], past: Mapping[RulesId, Scenario]
    ) -> None:
        """Continue with these rules in force, and with these older rules of jobs."""
        self._scenarios.update(present)
        self._past.update(past)

    def known(self) -> dict[RulesId, Scenario]:
        """Return the scenarios of all rules that are in force, or were for older jobs."""
        present = {
            RulesId(name, found.baseline.digest): found for name, found in self._scenarios.items()
        }
        return {**self._past, **present}

    def looked_up(self, provider: str) -> Scenario:
        """Return the scenario that a provider would get if it were looked up again."""
        return self._scenario_of(provider)

    def use(self, scenario_of: ScenarioFor) -> None:
        """Look up rules elsewhere from now on, where none are in force yet."""
        self._scenario_of = scenario_of

    def scenario(self, provider: str) -> Scenario:
        """Return the scenario that applies to a provider."""
        found = self._scenarios.get(provider)
        if found is None:
            found = self._scenarios[provider] = self._scenario_of(provider)
        return found

    def account_rules(self) -> dict[str, AccountRule | None]:
        """Return the balance and plan of new accounts, for each provider that was looked up."""
        return {name: found.accounts.get(name) for name, found in self._scenarios.items()}

    def bound(self, provider: str, dialect: str | None = None) -> BoundProvider:
        """Return the provider under the rules in effect."""
        found = self._bound.get((provider, dialect))
        if found is None:
            scenario = self.scenario(provider)
            found = self._bound[provider, dialect] = self._bind(provider, scenario, dialect)
        return found

    def bound_of(self, accepted: JobAccepted, dialect: str | None = None) -> BoundProvider:
        """Return the provider under the rules that a job was accepted under."""
        if not self._past:  # nearly always
            return self.bound(accepted.provider, dialect)
        rules = RulesId(accepted.provider, accepted.rules)
        return self.bound_under(rules, dialect) or self.bound(accepted.provider, dialect)

    def bound_under(self, rules: RulesId, dialect: str | None) -> BoundProvider | None:
        """Return the provider under older rules; None if they are not older, or not known."""
        past = self._past.get(rules)
        if past is None:
            return None
        key = (*rules, dialect)
        found = self._past_bound.get(key)
        if found is None:
            found = self._past_bound[key] = self._bind(rules.provider, past, dialect)
        return found

    def ending_of(self, accepted: JobAccepted) -> EndPolicy:
        """Return the actions after the end of a job, by the rules under which it was accepted."""
        found = self._endings.get(accepted.rules)
        if found is None:
            found = self._endings[accepted.rules] = self.bound_of(accepted).ending
        return found

    # -- other rules

    def check(self, scenario_of: ScenarioFor) -> None:
        """Raise BaselineError for rules that could not replace the current rules."""
        for provider, dialect in [*self._bound]:
            self._bind(provider, scenario_of(provider), dialect)

    def replace(self, scenario_of: ScenarioFor, used: Collection[RulesId]) -> list[str]:
        """Look up rules elsewhere from now on; return the providers whose rules have changed.

        Older rules are kept while they are in `used`, because a job was accepted under them.
        """
        changed = []
        self._scenario_of = scenario_of
        for provider, old in list(self._scenarios.items()):
            new = self._scenarios[provider] = scenario_of(provider)
            if new.baseline.digest != old.baseline.digest:
                self._past[RulesId(provider, old.baseline.digest)] = old
                changed.append(provider)
        self._bound.clear()
        self._endings.clear()
        self.generation += 1
        current = {(name, found.baseline.digest) for name, found in self._scenarios.items()}
        self._past = {
            key: old for key, old in self._past.items() if key in used and key not in current
        }
        self._past_bound.clear()
        return changed

    def _bind(self, provider: str, scenario: Scenario, dialect: str | None) -> BoundProvider:
        choices, known = self._choices, scenario.baseline.dialects
        chosen = dialect or choices.dialects.get(provider) or scenario.dialect
        default = choices.default_dialect if choices.default_dialect in known else None
        knobs = {**scenario.knobs, **choices.knobs.get(provider, {})}
        found = rules(scenario.baseline, chosen or default or known[0], knobs)
        return bind(self._providers[provider], found, scenario, self.generation)
