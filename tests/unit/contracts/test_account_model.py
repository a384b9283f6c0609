"""What can be known of jobs and money from outside, with and without command of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from upsim_contracts.suite.account_model import AccountModel, ModelJob
from upsim_contracts.suite.exploring import table_of

START = datetime(2026, 1, 15, 12, tzinfo=UTC)
PRICE = Decimal("0.10")


def model(provider: str, *, exact: bool) -> tuple[AccountModel, ModelJob]:
    """A model with an account of 10 and one job of 0.10."""
    made = AccountModel(table_of(provider), START, exact=exact)
    made.opens("me", Decimal(10))
    return made, made.accepts("job", "me", PRICE, wants_post=False)


def test_without_command_of_time_anything_that_follows_is_possible() -> None:
    """A new job of a stranger may have ended already, and its price may be back."""
    made, job = model("piapi", exact=False)
    assert job.possible == {"pending", "processing", "completed", "failed"}
    assert made.balances("me") == {Decimal("9.90"), Decimal(10)}


def test_each_observation_narrows() -> None:
    """What was seen rules out all that cannot follow from it."""
    made, job = model("piapi", exact=False)
    made.observe(job, "processing", b"1")
    with pytest.raises(AssertionError, match="shows 'pending'"):
        made.observe(job, "pending", b"0")


def test_an_end_stays_byte_for_byte() -> None:
    """An ended job that answers otherwise contradicts every possible state."""
    made, job = model("piapi", exact=False)
    made.observe(job, "completed", b"done")
    with pytest.raises(AssertionError, match="answers otherwise"):
        made.observe(job, "completed", b"done!")


def test_with_command_of_time_nothing_happens_by_itself() -> None:
    """While time stands still, a job shows what it showed, to the byte."""
    made, job = model("wavespeed", exact=True)
    made.observe(job, "created", b"1")
    assert made.balances("me") == {Decimal("9.90")}
    with pytest.raises(AssertionError, match="no time passed"):
        made.observe(job, "created", b"2")


def test_failure_by_command_gives_the_price_back() -> None:
    """Where failures are commanded the balance is certain."""
    made, job = model("wavespeed", exact=True)
    made.fails(job)
    made.observe(job, "failed", b"1")
    assert made.balances("me") == {Decimal(10)}


def test_documented_times_are_bounds() -> None:
    """VicSee's 60 to 120 seconds: before them a job is under way, after them it has ended."""
    made, job = model("vicsee", exact=True)
    made.time_passes(START + timedelta(seconds=59))
    assert job.possible == {"pending", "processing"}
    made.time_passes(START + timedelta(seconds=120))
    assert job.possible == {"completed"}


def test_an_action_tells_where_a_job_was() -> None:
    """A cancel that is refused proves that the job was not pending any more."""
    made, job = model("piapi", exact=False)
    cancel = table_of("piapi").actions["cancel"]
    made.acts(job, cancel, done=False)
    with pytest.raises(AssertionError, match="was done"):
        made.acts(job, cancel, done=True)


def test_an_id_is_given_once() -> None:
    """The same id for a second job is a failure."""
    made, _ = model("venice", exact=True)
    with pytest.raises(AssertionError, match="given twice"):
        made.accepts("job", "me", PRICE, wants_post=False)


def test_deleted_jobs_are_not_listed() -> None:
    """A job that a call has deleted is in no list; its price stays gone."""
    made, job = model("wavespeed", exact=True)
    assert made.listed("me") == {"job"}
    made.acts(job, table_of("wavespeed").actions["delete"], done=True)
    assert (made.listed("me"), made.balances("me")) == (set(), {Decimal("9.90")})
