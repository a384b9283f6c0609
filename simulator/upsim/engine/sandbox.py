"""One isolated environment with its clock, seed, accounts, jobs, ledger and journal.

This file connects the parts and chooses the part that handles each deadline. Nothing here
waits or does I/O, except for storing the bytes of uploads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from upsim.core.call import SandboxApi
from upsim.core.events import JobAccepted
from upsim.engine.accounts import Accounts
from upsim.engine.bound_provider import BoundProvider
from upsim.engine.client_activity import ClientActivity
from upsim.engine.command_log import CommandLog
from upsim.engine.deadlines import Deadline
from upsim.engine.event_log import EventLog
from upsim.engine.faults import attempt_fault, early_fault
from upsim.engine.jobs import Jobs
from upsim.engine.live_events import Feed
from upsim.engine.money import Money
from upsim.engine.planned_faults import PlannedFaults
from upsim.engine.report_card import ReportCardBuilder
from upsim.engine.request_records import RecordLog
from upsim.engine.retention import Retention
from upsim.engine.rule_changes import RuleChanges
from upsim.engine.rule_versions import RuleVersions
from upsim.engine.settings import SandboxSettings
from upsim.engine.timeline import Start, Timeline
from upsim.engine.webhook_inbox import Inbox
from upsim.engine.webhooks import Webhooks
from upsim.scenario.model import Scenario

View = tuple[BoundProvider, SandboxApi]
"""The rules of a provider in a sandbox under a dialect, and the sandbox seen through them."""


class Ports(msgspec.Struct, frozen=True):
    """The functions of a server that its sandboxes use.

    `view` gives the operations of a provider access to a sandbox; `commands` makes its command log.
    `on_webhook_due` is called when a delivery may be due, now or later; `on_rules_changed` when
    other rules apply; `on_blob_released` with the digest of a file that is no longer kept.
    """

    view: Callable[[Sandbox, BoundProvider], SandboxApi]
    commands: Callable[[Timeline], CommandLog]
    on_webhook_due: Callable[[Sandbox], None]
    on_rules_changed: Callable[[Sandbox], None]
    on_blob_released: Callable[[str], None]


class Sandbox(Timeline):
    """One isolated environment: a timeline and the parts that share it."""

    def __init__(
        self,
        name: str,
        *,
        scenario: str,
        rules: RuleVersions,
        start: Start,
        log: EventLog,
        choices: SandboxSettings,
        ports: Ports,
    ) -> None:
        """Make a sandbox without accounts or jobs."""
        super().__init__(name, start=start, log=log, choices=choices)
        self.scenario = scenario
        self.last_used: float = 0.0
        self.last_jump: float = 0.0
        self.rules = rules
        self.activity = ClientActivity(self, rules)
        self.records = RecordLog(choices.journal_max, on_record=self.activity.record)
        self.report_card = ReportCardBuilder(self, rules, self.activity)
        self.inbox = Inbox()
        self.commands = ports.commands(self)
        self.webhooks = Webhooks(
            self,
            rules,
            commands=self.commands,
            view=self.view,
            fault=partial(attempt_fault, self),
            early=partial(early_fault, self),
            on_due=partial(ports.on_webhook_due, self),
        )
        self.money = Money(self, rules)
        self.retention = Retention(
            self,
            money=self.money,
            activity=self.activity,
            on_blob_released=ports.on_blob_released,
        )
        self.jobs = Jobs(
            self,
            rules,
            money=self.money,
            retention=self.retention,
            webhooks=self.webhooks,
        )
        self.accounts = Accounts(
            self, rules, commands=self.commands, jobs=self.jobs, money=self.money
        )
        self.planned_faults = PlannedFaults(self, rules)
        self.rule_changes = RuleChanges(
            self,
            rules,
            accounts=self.accounts,
            faults=self.planned_faults,
            jobs=self.jobs,
            on_changed=self._forget_views,
        )
        self._ports = ports
        self._views: dict[str, dict[str | None, View]] = {}
        self._feed: Feed | None = None

    # -- rules

    def scenario_for(self, provider: str) -> Scenario:
        """Return the scenario that applies to a provider here."""
        return self.rules.scenario(provider)

    def bound(self, provider: str, dialect: str | None = None) -> BoundProvider:
        """Return the provider under the first dialect that is set.

        The order is: path, sandbox, scenario, server.
        """
        return self.rules.bound(provider, dialect)

    def bound_of(self, accepted: JobAccepted, dialect: str | None = None) -> BoundProvider:
        """Return the provider under the rules that a job was accepted under."""
        return self.rules.bound_of(accepted, dialect)

    def view(self, provider: str, dialect: str | None) -> View:
        """Return the rules of a provider under a dialect, and the interface of this sandbox."""
        views = self.views(provider)
        found = views.get(dialect)
        if found is None:
            bound = self.rules.bound(provider, dialect)
            found = views[dialect] = (bound, self._ports.view(self, bound))
        return found

    def views(self, provider: str) -> dict[str | None, View]:
        """Return the results of `view` so far for a provider, by dialect."""
        return self._views.setdefault(provider, {})

    def _forget_views(self) -> None:
        for views in self._views.values():
            views.clear()
        self._ports.on_rules_changed(self)

    # -- readers

    @property
    def feed(self) -> Feed:
        """The live feed of this sandbox."""
        if self._feed is None:
            self._feed = Feed(self, self.records)
        return self._feed

    def abandon(self) -> None:
        """Detach this sandbox: running requests end in it, and new requests do not reach it."""
        self.cut_off()
        self.webhooks.close()
        self.wake()

    # -- deadlines

    def is_live(self, deadline: Deadline) -> bool:
        """Return whether a deadline still has something to do."""
        if deadline.kind == "deliver" and self.webhooks.is_in_flight(deadline):
            return False
        return self.state.is_live(deadline)

    def carry_out(self, deadline: Deadline) -> bool:
        """Run a due deadline. Return False if it is obsolete, and then do nothing."""
        if deadline.kind == "step":  # nearly always
            job = self.state.jobs.get(deadline.key)
            if job is None or job.step != deadline.step:
                return False
            self.jobs.next_step(job)
            return True
        if not self.is_live(deadline):
            return False
        if deadline.kind == "refund":
            self.money.refund(self.state.jobs[deadline.key])
        elif deadline.kind == "forget_job":
            self.retention.forget_jobs([deadline.key], "retention")
        elif deadline.kind in ("deliver", "announce"):
            self.webhooks.run(deadline)
        elif deadline.kind == "change":
            self.rule_changes.apply_planned(int(deadline.key))
        else:
            self.retention.forget_upload(deadline.key)
        return True
