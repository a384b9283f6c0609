"""What can be known of jobs and money from outside, with and without command of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from upsim_contracts.suite.account_model import AccountModel, ModelJob
from upsim_contracts.suite.property_runs import table_of

START = datetime(2026, 1, 15, 12, tzinfo=UTC)
PRICE = Decimal("0.10")


def model(provider: str, *, exact: bool) -> tuple[AccountModel, ModelJob]:
    """A model with an account of 10 and one job of 0.10."""
    made = AccountModel(table_of(provider), START, exact=exact)
    made.opens("me", Decimal(10))
    return made, made.accepts("job", "me", PRICE, wants_post=False)


def test_without_clock_control_any_later_state_is_possible() -> None:
    """Without clock control, a new job may already be completed or failed and refunded."""
    made, job = model("piapi", exact=False)
    assert job.possible == {"pending", "processing", "completed", "failed"}
    assert made.balances("me") == {Decimal("9.90"), Decimal(10)}


def test_each_observation_narrows_the_states() -> None:
    """Each observation removes the states that cannot follow from it."""
    made, job = model("piapi", exact=False)
    made.observe(job, "processing", b"1")
    with pytest.raises(AssertionError, match="shows 'pending'"):
        made.observe(job, "pending", b"0")


def test_an_end_stays_byte_for_byte() -> None:
    """If an ended job gives a different response later, the model reports a contradiction."""
    made, job = model("piapi", exact=False)
    made.observe(job, "completed", b"done")
    with pytest.raises(AssertionError, match="answers otherwise"):
        made.observe(job, "completed", b"done!")


def test_with_clock_control_nothing_changes_by_itself() -> None:
    """While the clock stands still, a job's response stays the same, byte for byte."""
    made, job = model("wavespeed", exact=True)
    made.observe(job, "created", b"1")
    assert made.balances("me") == {Decimal("9.90")}
    with pytest.raises(AssertionError, match="no time passed"):
        made.observe(job, "created", b"2")


def test_commanded_failure_refunds_the_price() -> None:
    """If a failure is set by command, the model expects exactly the refunded balance."""
    made, job = model("wavespeed", exact=True)
    made.fails(job)
    made.observe(job, "failed", b"1")
    assert made.balances("me") == {Decimal(10)}


def test_documented_times_are_bounds() -> None:
    """A VicSee job is running before 60 seconds and has ended after 120 seconds."""
    made, job = model("vicsee", exact=True)
    made.time_passes(START + timedelta(seconds=59))
    assert job.possible == {"pending", "processing"}
    made.time_passes(START + timedelta(seconds=120))
    assert job.possible == {"completed"}


def test_a_refused_cancel_shows_the_state() -> None:
    """A refused cancel shows that the job was no longer pending."""
    made, job = model("piapi", exact=False)
    cancel = table_of("piapi").actions["cancel"]
    made.acts(job, cancel, done=False)
    with pytest.raises(AssertionError, match="was done"):
        made.acts(job, cancel, done=True)


def test_an_id_is_used_once() -> None:
    """The model reports a failure if two jobs have the same id."""
    made, _ = model("venice", exact=True)
    with pytest.raises(AssertionError, match="given twice"):
        made.accepts("job", "me", PRICE, wants_post=False)


def test_deleted_jobs_are_not_listed() -> None:
    """A deleted job is in no list, and its price is not refunded."""
    made, job = model("wavespeed", exact=True)
    assert made.listed("me") == {"job"}
    made.acts(job, table_of("wavespeed").actions["delete"], done=True)
    assert (made.listed("me"), made.balances("me")) == (set(), {Decimal("9.90")})
