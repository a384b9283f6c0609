"""What moves a sandbox's clock, what runs on the way, and what does not move it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from upsim.core.instants import DAY, SECOND
from upsim.engine.clock import EPOCH_OF_TESTS, ClockError

if TYPE_CHECKING:
    from tests.http.engine.conftest import MakeWorld, World

PROVIDERS = ("wavespeed", "venice", "piapi", "vicsee")


def test_an_auto_poll_returns_the_present_state_and_then_jumps(auto: World) -> None:
    """A poll under an `auto` clock returns the present state, then jumps to the next deadline.

    So a client gets every state once, however fast it polls.
    """
    job = auto.accepted("vicsee")
    seen = [auto.poll("vicsee", job).json()["data"]["status"] for _ in range(4)]
    assert seen == ["pending", "processing", "completed", "completed"]


def test_an_auto_clock_jumps_exactly_to_the_next_deadline(auto: World) -> None:
    """After two polls, an `auto` clock is at the documented end of the job: 2 s plus 66.5 s."""
    job = auto.accepted("vicsee")
    for _ in range(2):
        auto.poll("vicsee", job)
    assert auto.sandbox.now == EPOCH_OF_TESTS + round(68.5 * SECOND)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_auto_clock_does_not_move_after_the_last_job(auto: World, provider: str) -> None:
    """After all jobs have ended, a poll under an `auto` clock does not advance the clock.

    So jobs and links do not expire.
    """
    job = auto.accepted(provider)
    for _ in range(3):
        auto.poll(provider, job)
    done = auto.sandbox.now
    auto.poll(provider, job)
    assert (auto.states(job), auto.sandbox.now) == (["completed"], done)


def test_a_submit_does_not_advance_an_auto_clock(auto: World) -> None:
    """Under an `auto` clock only a poll advances the clock, and a submit does not."""
    for _ in range(3):
        auto.accepted("vicsee")
    assert auto.sandbox.now == EPOCH_OF_TESTS


def test_a_429_advances_an_auto_clock_to_the_end_of_the_window(auto: World) -> None:
    """After a 429, an `auto` clock jumps to the end of the rate-limit window.

    The next request succeeds.
    """
    auto.on_plan("wavespeed", "bronze")
    statuses = [auto.submit("wavespeed").status_code for _ in range(7)]
    assert statuses == [200] * 5 + [429, 200]
    assert auto.sandbox.now == EPOCH_OF_TESTS + 60 * SECOND


def test_a_429_of_a_concurrency_limit_advances_an_auto_clock(auto: World) -> None:
    """Each 429 of a concurrency limit advances an `auto` clock to the job's next deadline.

    So a client that only submits is accepted after a few attempts.
    """
    auto.on_plan("piapi", "free-capped")
    statuses = [auto.submit("piapi").status_code for _ in range(4)]
    assert statuses == [200, 429, 429, 200]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_manual_clock_is_not_moved_by_requests(manual: World, provider: str) -> None:
    """No number of polls advances a `manual` clock."""
    job = manual.accepted(provider)
    for _ in range(5):
        manual.poll(provider, job)
    assert manual.sandbox.now == EPOCH_OF_TESTS


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_long_advance_skips_no_state(manual: World, provider: str) -> None:
    """A long advance moves a job through every state, each at its planned time."""
    job = manual.accepted(provider)
    manual.advance(DAY // SECOND)
    at, planned = EPOCH_OF_TESTS, []
    for before, after in zip(
        manual.job(job).accepted.phases, manual.job(job).accepted.phases[1:], strict=False
    ):
        at += before.lasts or 0
        planned.append((at, after.state))
    assert [(move.at, move.state) for move in manual.job(job).moves] == planned


def test_a_poll_after_a_long_pause_skips_no_state(make_world: MakeWorld) -> None:
    """If a running clock passed several deadlines, the next poll runs them in order."""
    world = make_world(clock="scaled:100000", start=0)
    job = world.accepted("vicsee")
    while not world.job(job).ended:
        world.poll("vicsee", job)
    instants = [move.at - world.job(job).accepted.at for move in world.job(job).moves]
    assert instants == [2 * SECOND, round(68.5 * SECOND)]


def test_deadlines_at_the_same_time_run_in_the_order_of_acceptance(manual: World) -> None:
    """If several jobs are due at the same time, the first accepted job changes first."""
    jobs = [manual.accepted("vicsee") for _ in range(3)]
    assert manual.advance(2) == [("step", job) for job in jobs]


def test_deadlines_run_in_the_order_of_their_times(manual: World) -> None:
    """Deadlines run in the order of their times, whichever job was accepted first."""
    late = manual.accepted("venice")
    early = manual.accepted("vicsee")
    keys = [key for _, key in manual.advance(101)]
    assert keys == [early, early, late]


def test_a_clock_cannot_go_back(manual: World) -> None:
    """An advance to an earlier time raises `ClockError`."""
    manual.advance(10)
    with pytest.raises(ClockError, match="cannot go back"):
        manual.advance(-1)


def test_a_refused_advance_leaves_the_clock_unchanged(manual: World) -> None:
    """After a refused advance, the sandbox's time is the same as before."""
    manual.advance(10)
    with pytest.raises(ClockError):
        manual.advance(-1)
    assert manual.sandbox.run_due() == EPOCH_OF_TESTS + 10 * SECOND


@pytest.mark.parametrize("provider", PROVIDERS)
def test_pace_shortens_every_phase_of_a_job(make_world: MakeWorld, provider: str) -> None:
    """With pace 50, every phase of a job is 50 times shorter."""
    slow, fast = (make_world(clock="real", pace=pace) for pace in (1, 50))
    lasts = [
        [phase.lasts or 0 for phase in world.job(world.accepted(provider)).accepted.phases]
        for world in (slow, fast)
    ]
    assert lasts[1] == [micros // 50 for micros in lasts[0]]


@pytest.mark.parametrize("clock", ["manual", "auto", "scaled:10"])
def test_pace_has_no_effect_on_virtual_clocks(make_world: MakeWorld, clock: str) -> None:
    """With a `manual`, `auto` or `scaled` clock, a pace does not change the phases of a job."""
    world = make_world(clock=clock, pace=50)
    phases = world.job(world.accepted("vicsee")).accepted.phases
    assert [phase.lasts for phase in phases] == [2 * SECOND, round(66.5 * SECOND), None]


@pytest.mark.parametrize("clock", ["manual", "auto"])
def test_a_virtual_clock_keeps_microseconds_in_deadlines(make_world: MakeWorld, clock: str) -> None:
    """Under a `manual` or `auto` clock, a job's deadline is exact to the microsecond."""
    world = make_world(clock=clock, start=123_457)
    world.accepted("vicsee")
    due = world.sandbox.deadlines.next()
    assert due is not None
    assert due.at == 123_457 + 2 * SECOND


def test_pace_does_not_change_rate_limit_windows(make_world: MakeWorld) -> None:
    """Even with a pace of one million, a rate-limit window lasts as long as documented."""
    world = make_world(clock="real", pace=1_000_000)
    world.on_plan("vicsee", "starter")
    reset = world.clients["vicsee"].get("/api/v1/credits").headers["x-ratelimit-reset"]
    assert reset.endswith("T00:00:00.000Z")


def test_pace_does_not_change_retention(make_world: MakeWorld) -> None:
    """Even with a pace of one million, a finished job is kept for seven days."""
    world = make_world(clock="real", pace=1_000_000)
    job = world.accepted("wavespeed")
    while not world.job(job).ended:
        world.poll("wavespeed", job)
    due = world.sandbox.deadlines.next()
    assert due is not None
    assert (due.kind, due.at - world.job(job).accepted.at) == ("forget_job", 7 * DAY)


def test_a_cancelled_job_leaves_no_deadlines(manual: World) -> None:
    """After its only job is cancelled, a sandbox has no unfinished job and no deadline."""
    job = manual.accepted("piapi")
    manual.clients["piapi"].delete(f"/api/v1/task/{job}")
    assert manual.sandbox.idle


def test_a_poll_of_a_cancelled_job_does_not_advance_an_auto_clock(auto: World) -> None:
    """A poll of a cancelled job leaves an `auto` clock where it is."""
    job = auto.accepted("piapi")
    auto.clients["piapi"].delete(f"/api/v1/task/{job}")
    auto.poll("piapi", job)
    assert auto.sandbox.now == EPOCH_OF_TESTS


def test_the_journal_has_the_time_of_each_request(make_world: MakeWorld) -> None:
    """Each journal entry has the time of its own request, even if nothing else happened."""
    world = make_world(clock="scaled:1000000", start=0)
    world.poll("vicsee", "nothing")
    world.poll("vicsee", "nothing")
    first, second = world.sandbox.records
    assert second.at > first.at
    assert second.at > 0
