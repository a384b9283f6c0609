"""The state of a sandbox: what its events add up to. Only `apply` changes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from msgspec.structs import replace as copy

from upsim.core.events import (
    AccountChanged,
    AccountOpened,
    AttemptMade,
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
)
from upsim.core.faults import Armed
from upsim.core.instants import Instant
from upsim.core.jobs import Job
from upsim.core.ledger import Account, Entry
from upsim.core.states import TERMINAL, JobState
from upsim.core.webhooks import Delivery
from upsim.engine.event_validation import EventValidator, Handler

DELETED = JobState.DELETED


@dataclass(frozen=True, slots=True)
class Upload:
    """A ticket, and what arrived for it."""

    issued: UploadIssued
    stored: UploadStored | None = None

    @property
    def expires_at(self) -> Instant | None:
        """The time of its removal: of the ticket while it is empty, then of the file."""
        return self.issued.expires_at if self.stored is None else self.stored.expires_at


class SandboxState:
    """Accounts, jobs, uploads and used quotas of one sandbox."""

    def __init__(self) -> None:
        """Before the first event."""
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
            RulesChanged: self._rules_changed,
        }
        self.handlers: dict[type, tuple[Handler, Handler]] = {
            kind: (validator.checks[kind], apply) for kind, apply in appliers.items()
        }
        """The validation and the application of each kind of event.

        The validation changes nothing; it raises InvalidEventError, IllegalMoveError, LedgerError.
        """

    def apply(self, events: Iterable[Event]) -> None:
        """Take events into account, in order. Raises when one breaks a rule, and not for it."""
        for event in events:
            check, apply = self.handlers[type(event)]
            check(event)
            apply(event)

    def quota(self, account: int, limit: str, window: Instant) -> int:
        """How many places of this window of a rate limit are taken."""
        started, used = self._quotas.get((account, limit), (window, 0))
        return used if started == window else 0

    def charge_of(self, job: str) -> Entry | None:
        """The charge of a job."""
        return self._charges.get(job)

    def refund_of(self, job: str) -> Entry | None:
        """The refund of a job; None when nothing was given back."""
        return self._refunds.get(job)

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
        account.jobs[event.job] = None
        started = not event.queued
        self.jobs[event.job] = Job(event, started=started)
        if started:
            account.running += 1
        else:
            account.queue[event.job] = None

    def _job_started(self, event: JobStarted) -> None:
        job = self.jobs[event.job]
        account = self.accounts[job.accepted.account]
        del account.queue[event.job]
        account.running += 1
        self.jobs[event.job] = copy(job, started=True)

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
        step = job.step + 1 if event.planned else len(accepted.phases)
        self.jobs[name] = Job(accepted, (*job.moves, event), step, job.started, 0, job.marks)

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

    def _carry(self, account: Account, at: Instant, amount: Decimal) -> None:
        so_far = account.entries.get(0)
        total = amount + (so_far.amount if so_far else 0)
        account.entries[0] = Entry(at, 0, account.number, "carried", total, account.unit)

    def _quota_used(self, event: QuotaUsed) -> None:
        used = self.quota(event.account, event.limit, event.window)
        self._quotas[event.account, event.limit] = (event.window, used + event.places)

    def _upload_issued(self, event: UploadIssued) -> None:
        self.uploads[event.upload] = Upload(event)

    def _upload_stored(self, event: UploadStored) -> None:
        self.uploads[event.upload] = Upload(self.uploads[event.upload].issued, event)

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
                del self.deliveries[delivery]
                self.open_deliveries.pop(delivery, None)

    def _delivery_created(self, event: DeliveryCreated) -> None:
        self.deliveries[event.delivery] = Delivery(event)
        self.deliveries_of.setdefault(event.job, []).append(event.delivery)
        self.open_deliveries[event.delivery] = None

    def _attempt_made(self, event: AttemptMade) -> None:
        found = self.deliveries[event.delivery]
        self.deliveries[event.delivery] = replace(found, attempts=(*found.attempts, event))

    def _delivery_ended(self, event: DeliveryEnded) -> None:
        found = self.deliveries[event.delivery]
        self.deliveries[event.delivery] = replace(found, ended=event)
        self.open_deliveries.pop(event.delivery, None)

    def _rules_changed(self, event: RulesChanged) -> None:
        self.rules[event.provider] = event.rules
