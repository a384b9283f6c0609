"""Events are validated before they are appended: an invalid event never stays in the log."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.unit.engine.event_histories import Historian
from upsim import Simulator
from upsim.core.events import (
    AccountChanged,
    AccountOpened,
    DeliveryEnded,
    Event,
    FaultDisarmed,
    JobAccepted,
    JobMarked,
    JobMoved,
    JobPolled,
    JobsForgotten,
    JobStarted,
    QuotaUsed,
    UploadsForgotten,
    UploadStored,
)
from upsim.core.jobs import IllegalMoveError
from upsim.core.ledger import Entry, LedgerError
from upsim.core.states import JobState
from upsim.engine.event_validation import InvalidEventError
from upsim.engine.sandbox import Sandbox

ONE = Decimal(1)


def worked() -> Historian:
    """Return a history with one job that was accepted and charged: `job1` of account 1."""
    history = Historian()
    history.accept(1, ONE)
    return history


def judge(history: Historian, event: Event) -> None:
    """Ask whether an event may be appended."""
    check, _ = history.state.handlers[type(event)]
    check(event)


def again(history: Historian) -> JobAccepted:
    """The job is accepted a second time."""
    return next(event for event in history.events if isinstance(event, JobAccepted))


UNLAWFUL: dict[str, Callable[[Historian], Event]] = {
    "an account that is there": lambda h: h.events[0],
    "a plan of an unknown account": lambda _: AccountChanged(0, 9, "free"),
    "a request of an unknown account": lambda _: QuotaUsed(0, 9, "minute", 0),
    "a job that is there": again,
    "a job of an unknown account": lambda h: replace(again(h), job="job9", account=9),
    "a start of nothing": lambda _: JobStarted(0, "job9"),
    "a start of what runs": lambda _: JobStarted(0, "job1"),
    "a move of nothing": lambda _: JobMoved(0, "job9", JobState.FAILED),
    "a poll of nothing": lambda _: JobPolled(0, "job9"),
    "a mark on nothing": lambda _: JobMarked(0, "job9", "revoked"),
    "nothing to forget": lambda _: JobsForgotten(0, ("job9",), "reset"),
    "forgotten twice": lambda _: JobsForgotten(0, ("job1", "job1"), "reset"),
    "money of an unknown account": lambda _: Entry(0, 9, 9, "top_up", ONE, "credit"),
    "an upload of an unknown account": lambda _: UploadStored(0, "u", "digest", 1, None),
    "no upload to forget": lambda _: UploadsForgotten(0, ("u",)),
    "a fault that is not armed": lambda _: FaultDisarmed(0, "f1"),
    "an end of no delivery": lambda _: DeliveryEnded(0, "job1", "d", "lost"),
}


@pytest.mark.parametrize("make", UNLAWFUL.values(), ids=UNLAWFUL)
def test_an_event_that_does_not_fit_is_refused(make: Callable[[Historian], Event]) -> None:
    """An event about something missing, or already present, is refused with its own message."""
    history = worked()
    with pytest.raises(InvalidEventError, match=r"there is no|is already there|is named twice"):
        judge(history, make(history))


CHARGE = Entry(0, 9, 1, "charge", -ONE, "credit", "job2")
"""The charge of a second job of account 1."""


@pytest.mark.parametrize(
    "charge",
    [
        replace(CHARGE, account=2),
        replace(CHARGE, job="job1"),
        replace(CHARGE, kind="refund", amount=ONE),
    ],
    ids=["of another account", "of another job", "a refund"],
)
def test_a_job_comes_with_its_own_charge(charge: Entry) -> None:
    """A job event with any other ledger entry than its own charge is refused."""
    history = worked()
    accepted = replace(again(history), job="job2")
    history.state.check_charge(accepted, CHARGE)
    with pytest.raises(InvalidEventError, match="goes with the job and not with"):
        history.state.check_charge(accepted, charge)


def test_only_a_new_job_is_charged() -> None:
    """An event other than a new job is refused if it comes with a charge."""
    history = worked()
    with pytest.raises(InvalidEventError, match="goes with the job and not with"):
        history.state.check_charge(JobPolled(0, "job2"), CHARGE)


def test_a_charge_takes() -> None:
    """The charge of a new job is validated like any other charge."""
    history = worked()
    accepted = replace(again(history), job="job2")
    with pytest.raises(LedgerError):
        history.state.check_charge(accepted, replace(CHARGE, amount=ONE))


def test_a_key_has_one_account() -> None:
    """An owner's account is opened once for each provider."""
    history = Historian()
    history.write(AccountOpened(0, 3, "toy", "toy-3", ONE, "credit", "free", "somebody"))
    with pytest.raises(InvalidEventError, match=r"owner .* is already there"):
        judge(history, AccountOpened(0, 4, "toy", "toy-4", ONE, "credit", "free", "somebody"))


@pytest.fixture
def sandbox() -> Sandbox:
    """Return a sandbox with one account."""
    box = Simulator(clock="manual").sandbox
    box.accounts.open("vicsee", "somebody")
    return box


def test_a_refused_second_charge_changes_nothing(sandbox: Sandbox) -> None:
    """A refused second charge changes no log, state or version, and the next event is appended."""
    account = sandbox.state.accounts[1]
    sandbox.money.post(account, "charge", -ONE, job="job1")
    before = sandbox.events()
    with pytest.raises(LedgerError):
        sandbox.money.post(account, "charge", -ONE, job="job1")
    assert sandbox.events() == before
    sandbox.money.post(account, "refund", ONE, job="job1")
    assert len(sandbox.events()) == len(before) + 1


def test_an_illegal_move_leaves_the_log_unchanged() -> None:
    """A refused move of an ended job changes neither the job nor the log."""
    history = worked()
    history.write(JobMoved(0, "job1", JobState.COMPLETED))
    with pytest.raises(IllegalMoveError):
        judge(history, JobMoved(0, "job1", JobState.PROCESSING))
