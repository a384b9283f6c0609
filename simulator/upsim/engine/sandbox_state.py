"""The state of a sandbox, which is the result of its events. Only `apply` changes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec
from msgspec.structs import replace as copy

from upsim.core.events import (
    DELIVERIES,
    AccountChanged,
    AccountOpened,
    AnnouncementPlanned,
    AttemptMade,
    AttemptPostponed,
    ChangeApplied,
    ChangesPlanned,
    ClockMoved,
    CountsCarried,
    DeliveryCreated,
    DeliveryEnded,
    EntriesCarried,
    Event,
    FaultArmed,
    FaultDisarmed,
    FaultMatched,
    JobAccepted,
    JobMarked,
    JobMoved,
    JobPolled,
    JobsForgotten,
    JobStarted,
    QuotaUsed,
    RulesChanged,
    UploadIssued,
    UploadsForgotten,
    UploadStored,
    ids_of,
    uploads_of,
)
from upsim.core.faults import Armed
from upsim.core.instants import Instant
from upsim.core.jobs import Job
from upsim.core.ledger import Account, Entry
from upsim.core.states import TERMINAL, JobState
from upsim.core.webhooks import Delivery
from upsim.engine.deadlines import Deadline, Deadlines, Kind
from upsim.engine.event_validation import EventValidator, Handler

DELETED = JobState.DELETED


class Upload(msgspec.Struct, frozen=True):
    """A ticket, and the file that arrived for it."""

    issued: UploadIssued
    stored: UploadStored | None = None

    @property
    def expires_at(self) -> Instant | None:
        """The time of removal: the expiry of the ticket, or of the file once it arrived."""
        return self.issued.expires_at if self.stored is None else self.stored.expires_at


class SandboxState:
    """Accounts, jobs, uploads, deadlines and used quotas of one sandbox.

    `clock` is the last move of the clock, and `jumped` the time that an `auto` clock skipped by
    itself. `ended` are the kept jobs that ended, oldest first. `postponed` are the attempts that a
    fault delays. Of the planned changes, those below `changes_applied` took place. `drawn` counts
    the random draws of each purpose.
    """

    def __init__(self, is_live: Callable[[Deadline], bool] | None = None) -> None:
        """Begin without events. `is_live` recognises obsolete deadlines; default: by the state."""
        self._is_live: dict[Kind, Callable[[Deadline], bool]] = {
            "step": self._is_in_phase,
            "refund": self._is_refund_due,
            "forget_job": self._has_job,
            "forget_upload": self._is_upload_expired,
            "deliver": self._is_attempt_due,
            "announce": self._is_announcement_due,
            "change": self._is_change_planned,
        }
        self.deadlines = Deadlines(is_live or self.is_live)
        self.clock: ClockMoved | None = None
        self.jumped: Instant = 0
        self.ended: dict[str, None] = {}
        self.postponed: dict[tuple[str, int], AttemptPostponed] = {}
        self.plan = 0
        self.changes_applied = 0
        self.accounts: dict[int, Account] = {}
        self.owners: dict[tuple[str, str], int] = {}
        self.jobs: dict[str, Job] = {}
        self.uploads: dict[str, Upload] = {}
        self.faults: dict[str, Armed] = {}
        self.deliveries: dict[str, Delivery] = {}
        self.deliveries_of: dict[str, list[str]] = {}
        self.open_deliveries: dict[str, None] = {}
        self.rules: dict[str, str] = {}
        self.entry_count = 0
        self.accepted_count = 0
        self.drawn: dict[str, int] = {}
        self._charges: dict[str, Entry] = {}
        self._refunds: dict[str, Entry] = {}
        self._quotas: dict[tuple[int, str], tuple[Instant, int]] = {}
        validator = EventValidator(self)
        self.check_charge = validator.check_charge
        appliers: dict[type, Handler] = {
            AccountOpened: self._account_opened,
            AccountChanged: self._account_changed,
            JobAccepted: self._job_accepted,
            JobStarted: self._job_started,
            JobMoved: self._job_moved,
            JobPolled: self._job_polled,
            JobMarked: self._job_marked,
            JobsForgotten: self._jobs_forgotten,
            Entry: self.apply_entry,
            EntriesCarried: self._entries_carried,
            CountsCarried: self._counts_carried,
            QuotaUsed: self._quota_used,
            UploadIssued: self._upload_issued,
            UploadStored: self._upload_stored,
            UploadsForgotten: self._uploads_forgotten,
            FaultArmed: self._fault_armed,
            FaultMatched: self._fault_matched,
            FaultDisarmed: self._fault_disarmed,
            DeliveryCreated: self._delivery_created,
            AttemptMade: self._attempt_made,
            DeliveryEnded: self._delivery_ended,
            AttemptPostponed: self._attempt_postponed,
            AnnouncementPlanned: self._announcement_planned,
            RulesChanged: self._rules_changed,
            ChangesPlanned: self._changes_planned,
            ChangeApplied: self._change_applied,
            ClockMoved: self._clock_moved,
        }
        self.handlers: dict[type, tuple[Handler, Handler]] = {
            kind: (validator.checks[kind], apply) for kind, apply in appliers.items()
        }
        """The validation and the application of each kind of event.

        The validation changes nothing; it raises InvalidEventError, IllegalMoveError, LedgerError.
        """

    def apply(self, events: Iterable[Event]) -> None:
        """Apply events in order. Raises at the first event that breaks a rule.

        Earlier events stay applied; the invalid event changes nothing.
        """
        for event in events:
            check, apply = self.handlers[type(event)]
            check(event)
            apply(event)

    def quota(self, account: int, limit: str, window: Instant) -> int:
        """Return the number of requests used in this window of a rate limit."""
        started, used = self._quotas.get((account, limit), (window, 0))
        return used if started == window else 0

    def charge_of(self, job: str) -> Entry | None:
        """Return the charge of a job."""
        return self._charges.get(job)

    def refund_of(self, job: str) -> Entry | None:
        """Return the refund of a job; None if nothing was refunded."""
        return self._refunds.get(job)

    def take_over(self, other: SandboxState) -> None:
        """Continue from another state, which is not changed. Nothing may have happened here yet."""
        self.accounts = {
            number: copy(
                account,
                jobs=account.jobs.copy(),
                queue=account.queue.copy(),
                entries=account.entries.copy(),
            )
            for number, account in other.accounts.items()
        }
        self.deliveries_of = {job: [*names] for job, names in other.deliveries_of.items()}
        self.owners, self.jobs = other.owners.copy(), other.jobs.copy()
        self.uploads, self.faults = other.uploads.copy(), other.faults.copy()
        self.deliveries, self.rules = other.deliveries.copy(), other.rules.copy()
        self.open_deliveries = other.open_deliveries.copy()
        self.ended, self.postponed = other.ended.copy(), other.postponed.copy()
        self.clock, self.jumped = other.clock, other.jumped
        self.plan, self.changes_applied = other.plan, other.changes_applied
        self.entry_count, self.accepted_count = other.entry_count, other.accepted_count
        self.drawn = other.drawn.copy()
        self._charges, self._refunds = other._charges.copy(), other._refunds.copy()
        self._quotas = other._quotas.copy()
        self.deadlines.take_over(other.deadlines)

    def is_reported(self, job: str, state: JobState) -> bool:
        """Return whether there is a webhook that reports this state of a job."""
        names = self.deliveries_of.get(job, ())
        return any(self.deliveries[name].created.state == state for name in names)

    # -- deadlines

    def is_live(self, deadline: Deadline) -> bool:
        """Return whether a deadline still has something to do."""
        return self._is_live[deadline.kind](deadline)

    def _has_job(self, deadline: Deadline) -> bool:
        return deadline.key in self.jobs

    def _is_in_phase(self, deadline: Deadline) -> bool:
        job = self.jobs.get(deadline.key)
        return job is not None and job.step == deadline.step

    def _is_refund_due(self, deadline: Deadline) -> bool:
        return deadline.key in self.jobs and deadline.key not in self._refunds

    def _is_announcement_due(self, deadline: Deadline) -> bool:
        job = self.jobs.get(deadline.key)
        if job is None or job.step != deadline.step or job.ended:
            return False
        following = job.next_phase
        return following is not None and not self.is_reported(job.id, following.state)

    def _is_attempt_due(self, deadline: Deadline) -> bool:
        found, attempt = self.deliveries.get(deadline.key), (deadline.key, deadline.step)
        if found is None or found.ended is not None or found.tries + 1 != deadline.step:
            return False
        postponed = self.postponed.get(attempt)
        return postponed is None or postponed.until <= deadline.at

    def _is_upload_expired(self, deadline: Deadline) -> bool:
        """Return whether the deadline removes the upload: a file may have replaced the ticket."""
        upload = self.uploads.get(deadline.key)
        expires_at = None if upload is None else upload.expires_at
        return expires_at is not None and expires_at <= deadline.at

    def _is_change_planned(self, deadline: Deadline) -> bool:
        return deadline.step == self.plan and int(deadline.key) >= self.changes_applied

    def _end_phase(self, job: JobAccepted, step: int, due: Instant | None) -> None:
        """Set the deadline at which a phase of a job ends."""
        if due is not None:
            self.deadlines.add(due, "step", job.job, step, lane=job.phases[step].lasts or 0)

    # -- events

    def _account_opened(self, event: AccountOpened) -> None:
        self.owners[event.provider, event.owner] = event.account
        self.accounts[event.account] = Account(
            number=event.account,
            provider=event.provider,
            name=event.name,
            opening=event.opening,
            unit=event.unit,
            plan=event.plan,
            opened_at=event.at,
            balance=event.opening,
        )

    def _account_changed(self, event: AccountChanged) -> None:
        self.accounts[event.account].plan = event.plan

    def _job_accepted(self, event: JobAccepted) -> None:
        account = self.accounts[event.account]
        self.accepted_count += 1
        self._count_draw(ids_of(event.provider))
        account.jobs[event.job] = None
        started = not event.queued
        self.jobs[event.job] = Job(event, started=started)
        if started:
            account.running += 1
            self._end_phase(event, 0, event.due)
        else:
            account.queue[event.job] = None

    def _job_started(self, event: JobStarted) -> None:
        job = self.jobs[event.job]
        account = self.accounts[job.accepted.account]
        del account.queue[event.job]
        account.running += 1
        self.jobs[event.job] = copy(job, started=True)
        self._end_phase(job.accepted, job.step, event.due)

    def _job_moved(self, event: JobMoved) -> None:
        name, state = event.job, event.state
        job = self.jobs[name]
        accepted = job.accepted
        if state in TERMINAL and (state is not DELETED or not job.ended):
            account = self.accounts[accepted.account]
            if job.started:
                account.running -= 1
            else:
                del account.queue[name]
            if not job.ended:
                self._job_ended(event)
        step = job.step + 1 if event.planned else len(accepted.phases)
        if event.due is not None:
            self._end_phase(accepted, step, event.due)
        self.jobs[name] = Job(accepted, (*job.moves, event), step, job.started, 0, job.marks)

    def _job_ended(self, event: JobMoved) -> None:
        name, at = event.job, event.at
        self.ended[name] = None
        if (refund_at := event.refund_at) is not None:
            self.deadlines.add(refund_at, "refund", name, lane=refund_at - at)
        if (kept_until := event.kept_until) is not None:
            self.deadlines.add(kept_until, "forget_job", name, lane=kept_until - at)

    def _job_polled(self, event: JobPolled) -> None:
        job = self.jobs[event.job]
        self.jobs[event.job] = copy(job, polls=job.polls + 1)

    def _job_marked(self, event: JobMarked) -> None:
        job = self.jobs[event.job]
        self.jobs[event.job] = copy(job, marks=job.marks | {event.mark})

    def _jobs_forgotten(self, event: JobsForgotten) -> None:
        if self.deliveries:
            self._deliveries_forgotten(event)
        for name in event.jobs:
            job = self.jobs.pop(name)
            self.ended.pop(name, None)
            account = self.accounts[job.accepted.account]
            del account.jobs[name]
            if job.ended:
                pass
            elif job.started:
                account.running -= 1
            else:
                del account.queue[name]
            for entries in (self._charges, self._refunds):
                entry = entries.pop(name, None)
                if entry is not None:
                    del account.entries[entry.number]
                    self._carry(account, event.at, entry.amount)

    def apply_entry(self, event: Entry) -> None:
        """Apply a validated ledger entry."""
        job, number = event.job, event.number
        if job is not None:
            entries = self._refunds if job in self._charges else self._charges
            entries[job] = event
        account = self.accounts[event.account]
        self.entry_count = max(self.entry_count, number)
        account.entries[number] = event
        account.balance += event.amount

    def _entries_carried(self, event: EntriesCarried) -> None:
        account = self.accounts[event.account]
        self._carry(account, event.at, event.amount)
        account.balance += event.amount

    def _counts_carried(self, event: CountsCarried) -> None:
        self.entry_count = max(self.entry_count, event.entries)
        self.accepted_count = event.jobs
        self.drawn = dict(event.drawn)

    def _count_draw(self, purpose: str) -> None:
        self.drawn[purpose] = self.drawn.get(purpose, 0) + 1

    def _carry(self, account: Account, at: Instant, amount: Decimal) -> None:
        so_far = account.entries.get(0)
        total = amount + (so_far.amount if so_far else 0)
        account.entries[0] = Entry(at, 0, account.number, "carried", total, account.unit)

    def _quota_used(self, event: QuotaUsed) -> None:
        used = self.quota(event.account, event.limit, event.window)
        self._quotas[event.account, event.limit] = (event.window, used + event.places)

    def _upload_issued(self, event: UploadIssued) -> None:
        self.uploads[event.upload] = Upload(event)
        self._count_draw(uploads_of(event.provider))
        self.deadlines.add(event.kept_until, "forget_upload", event.upload)

    def _upload_stored(self, event: UploadStored) -> None:
        self.uploads[event.upload] = Upload(self.uploads[event.upload].issued, event)
        if event.expires_at is not None:
            self.deadlines.add(event.expires_at, "forget_upload", event.upload)

    def _uploads_forgotten(self, event: UploadsForgotten) -> None:
        for name in event.uploads:
            del self.uploads[name]

    def _fault_armed(self, event: FaultArmed) -> None:
        self.faults[event.rule.id] = Armed(event.rule)

    def _fault_matched(self, event: FaultMatched) -> None:
        rule, matched, fired = self.faults[event.fault]
        fired += event.times if event.fired else 0
        self.faults[event.fault] = Armed(rule, matched + event.times, fired)

    def _fault_disarmed(self, event: FaultDisarmed) -> None:
        del self.faults[event.fault]

    def _deliveries_forgotten(self, event: JobsForgotten) -> None:
        for name in event.jobs:
            for delivery in self.deliveries_of.pop(name, ()):
                found = self.deliveries.pop(delivery)
                self.postponed.pop((delivery, found.tries + 1), None)
                self.open_deliveries.pop(delivery, None)

    def _delivery_created(self, event: DeliveryCreated) -> None:
        self.deliveries[event.delivery] = Delivery(event)
        self._count_draw(DELIVERIES)
        self.deliveries_of.setdefault(event.job, []).append(event.delivery)
        self.open_deliveries[event.delivery] = None
        self.deadlines.add(event.at, "deliver", event.delivery, 1)

    def _attempt_made(self, event: AttemptMade) -> None:
        found = self.deliveries[event.delivery]
        self.deliveries[event.delivery] = copy(found, attempts=(*found.attempts, event))
        self.postponed.pop((event.delivery, event.number), None)
        if event.next_at is not None:
            self.deadlines.add(event.next_at, "deliver", event.delivery, event.number + 1)

    def _attempt_postponed(self, event: AttemptPostponed) -> None:
        self.postponed[event.delivery, event.number] = event
        self.deadlines.add(event.until, "deliver", event.delivery, event.number)

    def _announcement_planned(self, event: AnnouncementPlanned) -> None:
        self.deadlines.add(event.due, "announce", event.job, event.step)

    def _delivery_ended(self, event: DeliveryEnded) -> None:
        found = self.deliveries[event.delivery]
        self.deliveries[event.delivery] = copy(found, ended=event)
        self.open_deliveries.pop(event.delivery, None)

    def _rules_changed(self, event: RulesChanged) -> None:
        self.rules[event.provider] = event.rules

    def _changes_planned(self, event: ChangesPlanned) -> None:
        self.plan += 1
        self.changes_applied = 0
        for number, at in enumerate(event.instants):
            self.deadlines.add(at, "change", str(number), self.plan)

    def _change_applied(self, event: ChangeApplied) -> None:
        self.changes_applied = event.number + 1

    def _clock_moved(self, event: ClockMoved) -> None:
        self.clock = event
        self.jumped += event.passed
