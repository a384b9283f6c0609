"""What moves a sandbox's clock, what runs on the way, and what does not move it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from upsim.core.instants import DAY, SECOND
from upsim.engine.clock import EPOCH_OF_TESTS, ClockError

if TYPE_CHECKING:
    from tests.http.engine.conftest import MakeWorld, World

PROVIDERS = ("wavespeed", "venice", "piapi", "vicsee")


def test_an_auto_poll_answers_the_present_state_and_then_jumps(auto: World) -> None:
    """So that a client sees every state once, however fast it polls."""
    job = auto.accepted("vicsee")
    seen = [auto.poll("vicsee", job).json()["data"]["status"] for _ in range(4)]
    assert seen == ["pending", "processing", "completed", "completed"]


def test_an_auto_jump_goes_to_the_instant_of_the_deadline(auto: World) -> None:
    """After two polls the job is at its documented end: 2 s of waiting, 66.5 s of work."""
    job = auto.accepted("vicsee")
    for _ in range(2):
        auto.poll("vicsee", job)
    assert auto.sandbox.now == EPOCH_OF_TESTS + round(68.5 * SECOND)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_auto_clock_stays_when_everything_is_done(auto: World, provider: str) -> None:
    """Links and jobs expire only when somebody asks for it."""
    job = auto.accepted(provider)
    for _ in range(3):
        auto.poll(provider, job)
    done = auto.sandbox.now
    auto.poll(provider, job)
    assert (auto.states(job), auto.sandbox.now) == (["completed"], done)


def test_an_auto_submit_does_not_move_the_clock(auto: World) -> None:
    """Only looking at a job lets time pass."""
    for _ in range(3):
        auto.accepted("vicsee")
    assert auto.sandbox.now == EPOCH_OF_TESTS


def test_an_auto_429_lets_its_window_pass(auto: World) -> None:
    """The next call has a place again; the clock stands where the window began."""
    auto.on_plan("wavespeed", "bronze")
    statuses = [auto.submit("wavespeed").status_code for _ in range(7)]
    assert statuses == [200] * 5 + [429, 200]
    assert auto.sandbox.now == EPOCH_OF_TESTS + 60 * SECOND


def test_an_auto_429_of_a_cap_on_jobs_lets_a_job_go_on(auto: World) -> None:
    """A cap has no window: who only submits and never polls gets a place in the end."""
    auto.on_plan("piapi", "free-capped")
    statuses = [auto.submit("piapi").status_code for _ in range(4)]
    assert statuses == [200, 429, 429, 200]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_manual_clock_stands_still(manual: World, provider: str) -> None:
    """No number of calls moves it."""
    job = manual.accepted(provider)
    for _ in range(5):
        manual.poll(provider, job)
    assert manual.sandbox.now == EPOCH_OF_TESTS


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_long_jump_skips_no_state(manual: World, provider: str) -> None:
    """A job that is finished was at work before, at the instants that its plan says."""
    job = manual.accepted(provider)
    manual.advance(DAY // SECOND)
    at, planned = EPOCH_OF_TESTS, []
    for before, after in zip(
        manual.job(job).accepted.phases, manual.job(job).accepted.phases[1:], strict=False
    ):
        at += before.lasts or 0
        planned.append((at, after.state))
    assert [(move.at, move.state) for move in manual.job(job).moves] == planned


def test_a_jump_by_looking_skips_no_state_either(make_world: MakeWorld) -> None:
    """Time that passed unseen is caught up in order at the next call."""
    world = make_world(clock="scaled:100000", start=0)
    job = world.accepted("vicsee")
    while not world.job(job).ended:
        world.poll("vicsee", job)
    instants = [move.at - world.job(job).accepted.at for move in world.job(job).moves]
    assert instants == [2 * SECOND, round(68.5 * SECOND)]


def test_deadlines_of_one_instant_run_in_the_order_they_came(manual: World) -> None:
    """Whoever was accepted first moves first."""
    jobs = [manual.accepted("vicsee") for _ in range(3)]
    assert manual.advance(2) == [("step", job) for job in jobs]


def test_deadlines_run_by_their_instants(manual: World) -> None:
    """Whatever the order in which they were made."""
    late = manual.accepted("venice")
    early = manual.accepted("vicsee")
    keys = [key for _, key in manual.advance(101)]
    assert keys == [early, early, late]


def test_time_never_goes_back(manual: World) -> None:
    """An earlier instant is refused."""
    manual.advance(10)
    with pytest.raises(ClockError, match="cannot go back"):
        manual.advance(-1)


def test_a_refused_move_leaves_the_clock(manual: World) -> None:
    """The clock stands where it stood."""
    manual.advance(10)
    with pytest.raises(ClockError):
        manual.advance(-1)
    assert manual.sandbox.run_due() == EPOCH_OF_TESTS + 10 * SECOND


@pytest.mark.parametrize("provider", PROVIDERS)
def test_pace_divides_the_lifecycle(make_world: MakeWorld, provider: str) -> None:
    """Every phase of the plan is as many times shorter."""
    slow, fast = (make_world(clock="real", pace=pace) for pace in (1, 50))
    lasts = [
        [phase.lasts or 0 for phase in world.job(world.accepted(provider)).accepted.phases]
        for world in (slow, fast)
    ]
    assert lasts[1] == [micros // 50 for micros in lasts[0]]


@pytest.mark.parametrize("clock", ["manual", "auto", "scaled:10"])
def test_pace_means_nothing_to_other_clocks(make_world: MakeWorld, clock: str) -> None:
    """Virtual time needs no help."""
    world = make_world(clock=clock, pace=50)
    phases = world.job(world.accepted("vicsee")).accepted.phases
    assert [phase.lasts for phase in phases] == [2 * SECOND, round(66.5 * SECOND), None]


@pytest.mark.parametrize("clock", ["manual", "auto"])
def test_steps_end_to_the_microsecond_where_time_stands_still(
    make_world: MakeWorld, clock: str
) -> None:
    """A clock that is moved by hand knows every instant."""
    world = make_world(clock=clock, start=123_457)
    world.accepted("vicsee")
    due = world.sandbox.deadlines.next()
    assert due is not None
    assert due.at == 123_457 + 2 * SECOND


def test_pace_leaves_the_rest_of_time_alone(make_world: MakeWorld) -> None:
    """Windows of rate limits and ends of retention are as far away as documented."""
    world = make_world(clock="real", pace=1_000_000)
    world.on_plan("vicsee", "starter")
    reset = world.clients["vicsee"].get("/api/v1/credits").headers["x-ratelimit-reset"]
    assert reset.endswith("T00:00:00.000Z")


def test_pace_leaves_retention_alone(make_world: MakeWorld) -> None:
    """A finished job is kept for its seven days."""
    world = make_world(clock="real", pace=1_000_000)
    job = world.accepted("wavespeed")
    while not world.job(job).ended:
        world.poll("wavespeed", job)
    due = world.sandbox.deadlines.next()
    assert due is not None
    assert (due.kind, due.at - world.job(job).accepted.at) == ("forget_job", 7 * DAY)


def test_a_cancelled_job_leaves_nothing_to_wait_for(manual: World) -> None:
    """What was planned for it has come to nothing: no unfinished job, no deadline."""
    job = manual.accepted("piapi")
    manual.clients["piapi"].delete(f"/api/v1/task/{job}")
    assert manual.sandbox.idle


def test_a_cancelled_job_does_not_make_an_auto_clock_jump(auto: World) -> None:
    """A poll of it finds nothing to jump to."""
    job = auto.accepted("piapi")
    auto.clients["piapi"].delete(f"/api/v1/task/{job}")
    auto.poll("piapi", job)
    assert auto.sandbox.now == EPOCH_OF_TESTS


def test_the_journal_says_when_a_request_came(make_world: MakeWorld) -> None:
    """Not when something happened last."""
    world = make_world(clock="scaled:1000000", start=0)
    world.poll("vicsee", "nothing")
    world.poll("vicsee", "nothing")
    first, second = world.sandbox.journal
    assert second.at > first.at
    assert second.at > 0
