"""Validation of events before they are appended, so that the log never breaks a rule."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, Protocol

from upsim.core.events import (
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
)
from upsim.core.faults import Armed
from upsim.core.jobs import Job, check_move
from upsim.core.ledger import Account, Entry, check_entry
from upsim.core.states import EDGES
from upsim.core.webhooks import Delivery

SHOWN = 500
"""Characters of a message that may hold an event."""
Handler = Callable[[Any], None]
"""What is called with an event of its kind."""


class InvalidEventError(ValueError):
    """An event that does not fit the state: its object is missing, or already exists."""


class ValidationState(Protocol):
    """The part of a state that the validation of events uses."""

    accounts: dict[int, Account]
    owners: dict[tuple[str, str], int]
    jobs: dict[str, Job]
    faults: dict[str, Armed]
    deliveries: dict[str, Delivery]
    open_deliveries: dict[str, None]

    @property
    def uploads(self) -> Mapping[str, object]:
        """The uploads by name."""

    def charge_of(self, job: str) -> Entry | None:
        """Return the charge of a job."""

    def refund_of(self, job: str) -> Entry | None:
        """Return the refund of a job."""


class EventValidator:
    """Validates events against a state and changes nothing; `checks` has a check for each type.

    The checks raise InvalidEventError, IllegalMoveError or LedgerError.
    """

    def __init__(self, state: ValidationState) -> None:
        """Validate events against this state."""
        self._state = state
        self.checks: dict[type, Handler] = {
            AccountOpened: self._account_opened,
            AccountChanged: self._account,
            JobAccepted: self._job_accepted,
            JobStarted: self._job_started,
            JobMoved: self._job_moved,
            JobPolled: self._job,
            JobMarked: self._job,
            JobsForgotten: self._jobs_forgotten,
            Entry: self._entry,
            EntriesCarried: self._account,
            CountsCarried: _lawful,
            QuotaUsed: self._account,
            UploadIssued: self._upload_issued,
            UploadStored: self._upload_stored,
            UploadsForgotten: self._uploads_forgotten,
            FaultArmed: self._fault_armed,
            FaultMatched: self._fault,
            FaultDisarmed: self._fault,
            DeliveryCreated: self._delivery_created,
            AttemptMade: self._delivery,
            AttemptPostponed: self._delivery,
            AnnouncementPlanned: self._job,
            DeliveryEnded: self._delivery_ended,
            RulesChanged: _lawful,
            ChangesPlanned: _lawful,
            ChangeApplied: _lawful,
            ClockMoved: _lawful,
        }

    def check_charge(self, event: Event, charge: Entry) -> None:
        """Raise an error unless `charge` belongs to the job that the event before it accepts."""
        if (
            not isinstance(event, JobAccepted)
            or charge.kind != "charge"
            or event.job != charge.job
            or event.account != charge.account
        ):
            msg = f"{charge.kind} for job {charge.job!r} goes with the job and not with {event}"
            raise InvalidEventError(msg[:SHOWN])
        check_entry(charge, self._state.charge_of(event.job), None)

    def _account_opened(self, event: AccountOpened) -> None:
        _new("account", event.account, self._state.accounts)
        if event.owner:
            _new("owner", (event.provider, event.owner), self._state.owners)

    def _account(self, event: AccountChanged | EntriesCarried | QuotaUsed) -> None:
        _known("account", event.account, self._state.accounts)

    def _job_accepted(self, event: JobAccepted) -> None:
        if event.account not in self._state.accounts or event.job in self._state.jobs:
            _known("account", event.account, self._state.accounts)
            _new("job", event.job, self._state.jobs)

    def _job(self, event: JobPolled | JobMarked) -> None:
        _known("job", event.job, self._state.jobs)

    def _job_started(self, event: JobStarted) -> None:
        _known("job", event.job, self._state.jobs)
        account = self._state.accounts[self._state.jobs[event.job].accepted.account]
        _known("waiting job", event.job, account.queue)

    def _job_moved(self, event: JobMoved) -> None:
        job = self._state.jobs.get(event.job)
        if job is None:
            _known("job", event.job, self._state.jobs)
            return
        was = job.moves[-1].state if job.moves else job.accepted.phases[0].state
        if (was, event.state) not in EDGES:
            check_move(job, event.state)

    def _jobs_forgotten(self, event: JobsForgotten) -> None:
        _names("job", event.jobs, self._state.jobs)

    def _entry(self, event: Entry) -> None:
        if event.account not in self._state.accounts:
            _known("account", event.account, self._state.accounts)
        if event.job is not None:
            check_entry(event, self._state.charge_of(event.job), self._state.refund_of(event.job))

    def _upload_issued(self, event: UploadIssued) -> None:
        _new("upload", event.upload, self._state.uploads)

    def _upload_stored(self, event: UploadStored) -> None:
        _known("upload", event.upload, self._state.uploads)

    def _uploads_forgotten(self, event: UploadsForgotten) -> None:
        _names("upload", event.uploads, self._state.uploads)

    def _fault_armed(self, event: FaultArmed) -> None:
        _new("fault", event.rule.id, self._state.faults)

    def _fault(self, event: FaultMatched | FaultDisarmed) -> None:
        _known("fault", event.fault, self._state.faults)

    def _delivery_created(self, event: DeliveryCreated) -> None:
        _known("job", event.job, self._state.jobs)
        _new("delivery", event.delivery, self._state.deliveries)

    def _delivery(self, event: AttemptMade | AttemptPostponed) -> None:
        _known("delivery", event.delivery, self._state.deliveries)

    def _delivery_ended(self, event: DeliveryEnded) -> None:
        _known("open delivery", event.delivery, self._state.open_deliveries)


def _known(what: str, name: object, known: Container[object]) -> None:
    if name not in known:
        msg = f"there is no {what} {name!r}"
        raise InvalidEventError(msg)


def _new(what: str, name: object, known: Container[object]) -> None:
    if name in known:
        msg = f"{what} {name!r} is already there"
        raise InvalidEventError(msg)


def _names(what: str, names: Sequence[str], known: Container[object]) -> None:
    for name in names:
        _known(what, name, known)
    if len(set(names)) < len(names):
        msg = f"a {what} is named twice in {names}"
        raise InvalidEventError(msg)


def _lawful(_event: object) -> None:
    """Accept events that are valid at any time."""
