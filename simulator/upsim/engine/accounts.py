"""The accounts of a sandbox: opened on first use, with the balance and plan of its scenario."""

from __future__ import annotations

from upsim.core.events import AccountChanged, AccountOpened
from upsim.core.ledger import Account
from upsim.engine.command_log import CommandLog
from upsim.engine.jobs import Jobs
from upsim.engine.money import Money
from upsim.engine.rule_versions import RuleVersions
from upsim.engine.timeline import Timeline
from upsim.scenario.model import AccountRule


class Accounts:
    """Opens and changes the accounts of one sandbox."""

    __slots__ = ("_commands", "_jobs", "_money", "_rules", "_timeline")

    def __init__(
        self,
        timeline: Timeline,
        rules: RuleVersions,
        *,
        commands: CommandLog,
        jobs: Jobs,
        money: Money,
    ) -> None:
        """Record each opened account in `commands`."""
        self._timeline = timeline
        self._rules = rules
        self._commands = commands
        self._jobs = jobs
        self._money = money

    def of(self, provider: str, owner: str) -> Account:
        """Return the account of an owner, opened on first use."""
        timeline = self._timeline
        number = timeline.state.owners.get((provider, owner))
        if number is not None:
            return timeline.state.accounts[number]
        timeline.run_due()
        return self.open(provider, owner)

    def open(self, provider: str, owner: str) -> Account:
        """Open an account for an owner, with the balance and the plan of the scenario."""
        timeline, scenario = self._timeline, self._rules.scenario(provider)
        rule = scenario.accounts.get(provider)
        number = len(timeline.state.accounts) + 1
        offers = (
            timeline.choices.balances.get(provider),
            rule.balance if rule else None,
            scenario.baseline.opening,
        )
        opening = next(offer for offer in offers if offer is not None)
        timeline.commit(
            AccountOpened(
                at=timeline.now,
                account=number,
                provider=provider,
                name=f"{provider}-{number}",
                opening=opening,
                unit=scenario.baseline.unit,
                plan=(rule.plan if rule else None) or scenario.baseline.plan,
                owner=owner,
            )
        )
        self._commands.opened(provider, owner, number)
        return timeline.state.accounts[number]

    def apply_rule(self, account: Account, rule: AccountRule) -> None:
        """Give an account the balance and plan that a rule gives to new accounts.

        A balance that was set for the sandbox itself has priority, as for a new account.
        """
        if rule.balance is not None and account.provider not in self._timeline.choices.balances:
            self._money.set_balance(account, rule.balance, why="changed by the scenario")
        if rule.plan is not None and rule.plan != account.plan:
            self.set_plan(account, rule.plan)

    def set_plan(self, account: Account, plan: str) -> None:
        """Change the plan of an account, which may add or remove concurrency slots."""
        self._timeline.commit(AccountChanged(self._timeline.now, account.number, plan))
        self._jobs.start_queued(account)
