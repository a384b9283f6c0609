"""A sandbox: one isolated world with its clock, seed, accounts, jobs, ledger and journal.

Commands give events, events change the state, and whatever is due at an instant runs in order
of (instant, sequence). Nothing here waits or does I/O but for keeping the bytes of uploads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

from upsim.core.call import NoRoomError
from upsim.core.events import (
    AccountChanged,
    AccountOpened,
    Event,
    JobAccepted,
    JobMarked,
    JobMoved,
    JobsForgotten,
    JobStarted,
    UploadsForgotten,
)
from upsim.core.faults import FaultRule
from upsim.core.instants import LATEST, Instant
from upsim.core.jobs import RESTORED, Job, check_move
from upsim.core.ledger import Account, Entry, EntryKind
from upsim.core.provider import Provider
from upsim.core.states import TERMINAL, Failure, JobState
from upsim.engine.bound_provider import BoundProvider
from upsim.engine.client_activity import ClientActivity
from upsim.engine.clock import Clock, ClockError
from upsim.engine.command_log import CommandLog
from upsim.engine.deadlines import Deadline, Deadlines
from upsim.engine.event_log import EventLog, MemoryLog
from upsim.engine.feed import Feed
from upsim.engine.inbox import Inbox
from upsim.engine.journal import Journal
from upsim.engine.report_card import ReportCardBuilder
from upsim.engine.rule_versions import RuleVersions
from upsim.engine.seeds import Seeds
from upsim.engine.state import SandboxState
from upsim.engine.webhooks import Webhooks
from upsim.scenario.model import AccountRule, Scenario

Listener = Callable[[Sequence[Event]], None]
FORGET_AT_ONCE = 1024
"""So many finished jobs above the cap are forgotten in one event."""
MAX_UPLOADS = 10_000
"""Uploads and tickets for them that are kept."""
DEADLINES_PER_JOB = 3
"""A queue with more than so many deadlines for each job and upload holds mostly dead ones."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a sandbox was made with, beside its scenario."""

    dialects: Mapping[str, str]
    knobs: Mapping[str, Mapping[str, str]]
    balances: Mapping[str, Decimal]
    strict_keys: bool = False
    default_dialect: str | None = None
    render: str | None = None
    jobs_max: int = 100_000
    journal_max: int = 1_000
    ttl: float | None = None
    webhook_timestamp: str = "wall"
    commands_max: int = 10_000
    commands_bytes: int = 32 * 1024 * 1024


MAX_AT_ONCE = 300
"""Deadlines that are run in one turn of the event loop: some 30 ms."""


class Sandbox:
    """One world. `now` is the instant of the command or deadline that is being run.

    `jumped` is how much time an `auto` clock has let pass by itself.
    """

    def __init__(
        self,
        name: str,
        *,
        scenario: str,
        scenario_of: Callable[[str], Scenario],
        providers: Mapping[str, Provider],
        clock: Clock,
        seeds: Seeds,
        log: EventLog,
        choices: Choices,
    ) -> None:
        """A world without accounts or jobs."""
        self.id = name
        self.scenario = scenario
        self.clock = clock
        self.seeds = seeds
        self.choices = choices
        self.state = SandboxState()
        self.deadlines = Deadlines(self._is_live)
        self.journal = Journal(choices.journal_max)
        self.conduct = ClientActivity(self)
        self.report_card = ReportCardBuilder(self)
        self.journal.counted = self.conduct.record
        self.jumped: Instant = 0
        self.inbox = Inbox()
        self.webhooks = Webhooks(self)
        self.listeners: list[Listener] = []
        self.now: Instant = clock.now()
        self.commands = CommandLog(
            self, most=choices.commands_max, most_bytes=choices.commands_bytes
        )
        self.last_used: float = 0.0
        self.last_jump: float = 0.0
        self.abandoned = False
        self.planned_faults: tuple[FaultRule, ...] = ()
        self.released: Callable[[str], None] = lambda _digest: None
        self.began = self.now
        self.began_with = scenario_of
        self.rulebook = RuleVersions(self, scenario_of, providers)
        self.generation = 0
        self.changes_wait = False
        self._log = log
        self._version = 0
        self._ended: dict[str, None] = {}
        self._feed: Feed | None = None

    # -- rules

    def scenario_for(self, provider: str) -> Scenario:
        """The scenario that holds for a provider here."""
        return self.rulebook.scenario(provider)

    def bound(self, provider: str, dialect: str | None = None) -> BoundProvider:
        """The provider under the dialect of path, sandbox, scenario or server, the first given."""
        return self.rulebook.bound(provider, dialect)

    def bound_of(self, accepted: JobAccepted, dialect: str | None = None) -> BoundProvider:
        """The same by the rules that a job was accepted under."""
        return self.rulebook.bound_of(accepted, dialect)

    # -- events

    def commit(self, event: Event, charge: Entry | None = None) -> None:
        """Append an event to the log and take it into the state, or raise and change nothing.

        A job is committed together with its charge.
        """
        state = self.state
        check, take = state.handlers[type(event)]
        check(event)
        if charge is None:
            events: tuple[Event, ...] = (event,)
        else:
            state.check_charge(event, charge)
            events = (event, charge)
        self._version = self._log.append(self.id, self._version, events)
        take(event)
        if charge is not None:
            state.apply_entry(charge)
        for listener in self.listeners:
            listener(events)

    @property
    def version(self) -> int:
        """How many events were committed so far."""
        return self._version

    @property
    def feed(self) -> Feed:
        """What happens here as it happens, for whoever wants to follow."""
        if self._feed is None:
            self._feed = Feed(self)
        return self._feed

    def events(self) -> Sequence[Event]:
        """The event log as it is kept."""
        return self._log.read(self.id)

    def abandon(self) -> None:
        """Cut this world off: requests under way end in it, and nobody sees it any more."""
        self.abandoned = True
        self._log, self._version = MemoryLog(), 0
        self.webhooks.close()
        self.wake()
        self.released = lambda _digest: None

    # -- time

    def run_due(self) -> Instant:
        """Run everything that is due by now; afterwards `now` is the present instant."""
        present = self.clock.now()
        while (deadline := self.deadlines.pop_due(present)) is not None:
            self.now = max(self.now, deadline.at)
            self._run(deadline)
        self.now = max(self.now, present)
        return self.now

    def run_some_due(self, most: int = MAX_AT_ONCE) -> bool:
        """Run at most so many deadlines that are due; return whether none is left.

        Thousands of jobs that ended while nobody looked would hold up all other sandboxes.
        """
        present = self.clock.now()
        for _ in range(most):
            deadline = self.deadlines.pop_due(present)
            if deadline is None:
                self.now = max(self.now, present)
                return True
            self.now = max(self.now, deadline.at)
            self._run(deadline)
        return False

    def advance(self, to: Instant) -> Iterator[Deadline]:
        """Go to a later instant, one deadline at a time, yielding each once it has run.

        Raises ClockError for an earlier instant.
        """
        if to < self.now:
            msg = f"the clock stands at {self.now} and never goes back (asked for {to})"
            raise ClockError(msg)
        while (deadline := self.deadlines.next()) is not None and deadline.at <= to:
            self.clock.reach(deadline.at)
            due = self.deadlines.pop_due(deadline.at)
            if due is not None:
                self.now = max(self.now, due.at)
                if self._run(due):
                    yield due
        self.clock.reach(to)
        self.run_due()

    def jump_to_next(self) -> None:
        """Let an `auto` clock go to the next deadline that is not an expiry, and run it.

        At the end of time the clock stands, and what is due later never comes. Of thousands that
        are due at the same instant, those that are left run before the next request is answered.
        """
        deadline = self.deadlines.next(expiries=False)
        if deadline is not None:
            before = self.clock.now()
            self.clock.reach(min(deadline.at, LATEST))
            self.run_some_due()
            self.jumped += self.now - before

    def wake(self) -> None:
        """Tell listeners that time may have passed though nothing happened."""
        for listener in self.listeners:
            listener(())

    @property
    def idle(self) -> bool:
        """Whether no job is unfinished and no work is due later."""
        return self.deadlines.next(expiries=False) is None

    # -- accounts

    def open_account(self, provider: str, owner: str) -> Account:
        """A new account of an owner, with the funds and the plan of the scenario."""
        scenario = self.scenario_for(provider)
        rule = scenario.accounts.get(provider)
        number = len(self.state.accounts) + 1
        offers = (
            self.choices.balances.get(provider),
            rule.balance if rule else None,
            scenario.baseline.opening,
        )
        opening = next(offer for offer in offers if offer is not None)
        self.commit(
            AccountOpened(
                at=self.now,
                account=number,
                provider=provider,
                name=f"{provider}-{number}",
                opening=opening,
                unit=scenario.baseline.unit,
                plan=(rule.plan if rule else None) or scenario.baseline.plan,
                owner=owner,
            )
        )
        self.commands.opened(provider, owner, number)
        return self.state.accounts[number]

    def set_account(self, account: Account, rule: AccountRule) -> None:
        """Give an account what one that is opened now would have: balance and plan of a rule.

        A balance that the sandbox itself was given stays in force, as it does at an opening.
        """
        chosen = account.provider in self.choices.balances
        if rule.balance is not None and not chosen and rule.balance != account.balance:
            missing = rule.balance - account.balance
            self.post(account, "adjustment", missing, formula="changed by the scenario")
        if rule.plan is not None and rule.plan != account.plan:
            self.set_plan(account, rule.plan)

    def set_plan(self, account: Account, plan: str) -> None:
        """Put an account on another plan, which may free or take slots."""
        self.commit(AccountChanged(self.now, account.number, plan))
        self.start_queued(account)

    def post(
        self,
        account: Account,
        kind: EntryKind,
        amount: Decimal,
        *,
        job: str | None = None,
        formula: str = "",
    ) -> Entry:
        """Append a line to the ledger."""
        entry = Entry(
            at=self.now,
            number=self.state.entry_count + 1,
            account=account.number,
            kind=kind,
            amount=amount,
            unit=account.unit,
            job=job,
            formula=formula,
        )
        self.commit(entry)
        return entry

    # -- jobs

    def schedule(self, job: Job) -> None:
        """Put the end of the job's present phase into the queue."""
        if job.accepted.webhook is not None:
            self.webhooks.watch(job)
        accepted, step = job.accepted, job.step
        phases = accepted.phases
        lasts = phases[step].lasts if step + 1 < len(phases) else None
        if lasts is not None and job.started:
            due = self.now + lasts
            due = max(self.now, due - due % self.clock.tick)
            self.deadlines.add(due, "step", accepted.job, step, lane=lasts)

    def move(self, job: Job, state: JobState, failure: Failure | None = None) -> Job:
        """Move a job by command. Raises IllegalMoveError."""
        check_move(job, state)
        return self._moved(job, JobMoved(self.now, job.id, state, failure, planned=False))

    def next_step(self, job: Job) -> None:
        """Move a job to the next phase of its plan."""
        accepted, following = job.accepted, job.step + 1
        if following < len(accepted.phases):
            phase = accepted.phases[following]
            self._moved(job, JobMoved(self.now, accepted.job, phase.state, phase.failure))

    def _moved(self, before: Job, event: JobMoved) -> Job:
        self.commit(event)
        job = self.state.jobs[event.job]
        if event.state not in TERMINAL:
            self.schedule(job)
        elif not before.ended:
            self._finish(job)
        if job.accepted.webhook is not None:
            self.webhooks.moved(job)
        return job

    def _finish(self, job: Job) -> None:
        accepted = job.accepted
        ending, name = self.rulebook.ending_of(accepted), accepted.job
        if ending.refunded and job.state in ending.refunded:
            if ending.refund_after:
                due = self.now + ending.refund_after
                self.deadlines.add(due, "refund", name, lane=ending.refund_after)
            else:
                self._refund(job)
        if ending.kept_for is not None:
            expiry = max(accepted.at + ending.kept_for, self.now)
            self.deadlines.add(expiry, "forget_job", name, lane=expiry - self.now)
        self._ended[name] = None
        account = self.state.accounts[accepted.account]
        if account.queue:
            self.start_queued(account)
        if len(self._ended) >= self.choices.jobs_max + FORGET_AT_ONCE:
            self._forget(list(islice(self._ended, FORGET_AT_ONCE)), "cap")

    def start_queued(self, account: Account) -> None:
        """Begin the jobs that wait for a slot, as far as there are any."""
        plans = self.scenario_for(account.provider).baseline.plans
        slots = plans[account.plan].concurrency
        while account.queue and (slots is None or account.running < slots):
            name = next(iter(account.queue))
            self.commit(JobStarted(self.now, name))
            self.schedule(self.state.jobs[name])

    def forget_all(self) -> None:
        """Forget every job, whatever its state; ledger lines are carried as sums."""
        self._forget(list(self.state.jobs), "reset")

    def restore_balances(self) -> None:
        """Bring every account back to its opening balance by one adjustment.

        It gives back also what unfinished jobs were charged: their refunds add nothing later.
        """
        for job in list(self.state.jobs.values()):
            if RESTORED not in job.marks and self._may_be_refunded(job):
                self.commit(JobMarked(self.now, job.id, RESTORED))
        for account in list(self.state.accounts.values()):
            missing = account.opening - account.balance
            if missing:
                self.post(account, "adjustment", missing, formula="reset to the opening balance")

    # -- deadlines

    def _is_live(self, deadline: Deadline) -> bool:
        """Whether a deadline still has something to do."""
        job = self.state.jobs.get(deadline.key)
        if deadline.kind == "step":
            return job is not None and job.step == deadline.step
        if deadline.kind in ("deliver", "announce"):
            return self.webhooks.is_live(deadline)
        if deadline.kind == "forget_upload":
            upload = self.state.uploads.get(deadline.key)
            expires_at = None if upload is None else upload.expires_at
            return expires_at is not None and expires_at <= deadline.at
        if deadline.kind == "change":
            return self.rulebook.is_planned(deadline)
        if job is None:
            return False
        return deadline.kind == "forget_job" or self.state.refund_of(job.id) is None

    def _run(self, deadline: Deadline) -> bool:
        """Do what is due, unless it has come to nothing; whether it was done."""
        if deadline.kind == "step":  # nearly always
            job = self.state.jobs.get(deadline.key)
            if job is None or job.step != deadline.step:
                return False
            self.next_step(job)
            return True
        if not self._is_live(deadline):
            return False
        if deadline.kind == "refund":
            self._refund(self.state.jobs[deadline.key])
        elif deadline.kind == "forget_job":
            self._forget([deadline.key], "retention")
        elif deadline.kind in ("deliver", "announce"):
            self.webhooks.run(deadline)
        elif deadline.kind == "change":
            self.rulebook.change(int(deadline.key))
        else:
            self._forget_upload(deadline.key)
        return True

    def _refund(self, job: Job) -> None:
        charge = self.state.charge_of(job.id)
        if charge is not None and self.state.refund_of(job.id) is None:
            account = self.state.accounts[job.accepted.account]
            self.post(account, "refund", -charge.amount, job=job.id, formula=charge.formula)
            if RESTORED in self.state.jobs[job.id].marks:
                why = f"the charge of job {job.id} was given back by a reset"
                self.post(account, "adjustment", charge.amount, formula=why)

    def _may_be_refunded(self, job: Job) -> bool:
        """Whether a charge can still come back: that of an unfinished job, or a late refund."""
        unrefunded = self.state.charge_of(job.id) and self.state.refund_of(job.id) is None
        refunded = self.bound(job.accepted.provider).ending.refunded
        due = not job.ended or any(move.state in refunded for move in job.moves)
        return bool(unrefunded) and due

    def _refund_owed(self, job: Job) -> None:
        """Give back at once what was to be given back later: a forgotten job has no deadlines."""
        states = self.bound_of(job.accepted).ending.refunded
        if any(move.state in states for move in job.moves):
            self._refund(job)

    def _forget(self, names: Sequence[str], reason: str) -> None:
        if not names:
            return
        self.conduct.part(names)
        for name in names:
            self._refund_owed(self.state.jobs[name])
        self.commit(JobsForgotten(self.now, tuple(names), reason))
        for name in names:
            self._ended.pop(name, None)
        known = len(self.state.jobs) + len(self.state.uploads)
        if len(self.deadlines) > DEADLINES_PER_JOB * known + FORGET_AT_ONCE:
            self.deadlines.prune()

    def make_room_for_upload(self) -> None:
        """Forget the oldest tickets that nobody used. Raises NoRoomError where all were used."""
        if len(self.state.uploads) < MAX_UPLOADS:
            return
        unused = (name for name, upload in self.state.uploads.items() if upload.stored is None)
        oldest = tuple(islice(unused, MAX_UPLOADS // 10))
        if not oldest:
            raise NoRoomError(f"{MAX_UPLOADS} files are kept in a sandbox")
        self.commit(UploadsForgotten(self.now, oldest))

    def _forget_upload(self, name: str) -> None:
        upload = self.state.uploads[name]
        self.commit(UploadsForgotten(self.now, (name,)))
        if upload.stored is not None:
            self.released(upload.stored.digest)
