"""How long a job stays in each state, and the plan of one job."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.conftest import VIDEO, video
from upsim.core.lifecycle import JobDuration, PhaseRule, plan, seconds_of
from upsim.core.states import Failure, JobState, Phase

RULE = JobDuration(base=Decimal(10), per_second=Decimal(2), per_frame=Decimal("0.1"))


@pytest.mark.parametrize(
    ("rule", "seconds"),
    [
        (JobDuration(), "0"),
        (JobDuration(base=Decimal(58)), "58"),
        (JobDuration(per_second=Decimal(2)), "17"),
        (JobDuration(per_frame=Decimal("0.1")), "25.5"),
        (RULE, "52.5"),
        (JobDuration(base=Decimal(1), at_least=Decimal(5)), "5"),
        (JobDuration(base=Decimal(900), at_most=Decimal(118)), "118"),
    ],
)
def test_seconds(rule: JobDuration, seconds: str) -> None:
    """The time of a job is the sum of base, video seconds and frames, within limits."""
    assert Decimal(seconds) == seconds_of(rule, VIDEO, {})


def test_without_a_video() -> None:
    """The time of a job without a measured video is the base time."""
    assert seconds_of(RULE, None, {}) == 10


@pytest.mark.parametrize(("target", "seconds"), [("4k", 51), ("1080p", 17), (None, 17)])
def test_a_factor_by_an_option(target: str | None, seconds: int) -> None:
    """An option value selects the factor for the video seconds; the default factor is 1."""
    rule = JobDuration(per_second=Decimal(2), by="target", table=(("4k", Decimal(3)),))
    options = {} if target is None else {"target": target}

    assert seconds == seconds_of(rule, VIDEO, options)


@given(st.decimals(0, 600, places=6), st.decimals(0, 600, places=6))
def test_longer_videos_never_take_less_time(one: Decimal, other: Decimal) -> None:
    """The time of a job never falls if the video gets longer."""
    shorter, longer = (seconds_of(RULE, video(s), {}) for s in sorted((one, other)))

    assert shorter <= longer


def test_a_plan() -> None:
    """A plan has each step's microseconds, divided by the pace, and its failure."""
    broken = Failure("broken", 500, "It broke.")
    steps = (
        PhaseRule(JobState.WAITING, JobDuration(base=Decimal(3))),
        PhaseRule(JobState.PROCESSING, None, polls=2),
        PhaseRule(JobState.FAILED, None, failure="broken"),
    )

    found = plan(steps, media=VIDEO, options={}, pace=Decimal(30), failures={"broken": broken})

    assert found == (
        Phase(JobState.WAITING, lasts=100_000),
        Phase(JobState.PROCESSING, polls=2),
        Phase(JobState.FAILED, failure=broken),
    )
