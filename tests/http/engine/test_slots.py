"""Concurrency: jobs above the plan's number wait, and start in order as slots become free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upsim.core.states import JobState

if TYPE_CHECKING:
    from tests.http.engine.conftest import MakeWorld, World

SLOTS = 3


def five_jobs(world: World) -> list[str]:
    """Submit five jobs on a plan with three slots."""
    world.on_plan("wavespeed", "bronze")
    return [world.accepted("wavespeed") for _ in range(5)]


def test_jobs_above_the_cap_wait(manual: World) -> None:
    """They are accepted and stay in their first state while the others work."""
    jobs = five_jobs(manual)
    manual.advance(30)
    assert manual.states(*jobs) == ["processing"] * 3 + ["waiting"] * 2


def test_a_waiting_job_is_charged_at_once(manual: World) -> None:
    """Acceptance costs, not the start."""
    five_jobs(manual)
    kinds = [entry.kind for entry in manual.account("wavespeed").entries.values()]
    assert kinds == ["charge"] * 5


def test_waiting_jobs_start_when_others_end(manual: World) -> None:
    """All that ended at 73 s free their slots for those who waited."""
    jobs = five_jobs(manual)
    manual.advance(73 + 1)
    assert manual.states(*jobs) == ["completed"] * 3 + ["processing"] * 2


def test_a_started_job_lasts_as_long_as_any(manual: World) -> None:
    """Its plan begins when it gets its slot."""
    jobs = five_jobs(manual)
    manual.advance(73 + 73)
    assert manual.states(*jobs) == ["completed"] * 5


def test_jobs_start_in_the_order_they_were_accepted(manual: World) -> None:
    """One free slot goes to who waited longest."""
    jobs = five_jobs(manual)
    manual.sandbox.jobs.move(manual.job(jobs[1]), manual.job(jobs[1]).state.FAILED)
    assert [manual.job(name).started for name in jobs] == [True, True, True, True, False]


def test_a_deleted_job_frees_its_slot(manual: World) -> None:
    """Whatever ends a job."""
    jobs = five_jobs(manual)
    path, body = "/api/v3/predictions/delete", {"ids": [jobs[0]]}
    manual.clients["wavespeed"].post(path, json=body)
    assert (manual.account("wavespeed").running, manual.job(jobs[3]).started) == (SLOTS, True)


def test_a_deleted_job_that_waited_frees_none(manual: World) -> None:
    """It had none."""
    jobs = five_jobs(manual)
    path, body = "/api/v3/predictions/delete", {"ids": [jobs[3]]}
    manual.clients["wavespeed"].post(path, json=body)
    account = manual.account("wavespeed")
    assert (account.running, list(account.queue)) == (SLOTS, [jobs[4]])


def test_a_wider_plan_starts_who_waits(manual: World) -> None:
    """At once, not when the next job ends."""
    jobs = five_jobs(manual)
    manual.on_plan("wavespeed", "silver")
    assert all(manual.job(name).started for name in jobs)


def test_a_narrower_plan_stops_nobody(manual: World) -> None:
    """Those at work go on; only later ones wait."""
    manual.on_plan("wavespeed", "silver")
    jobs = [manual.accepted("wavespeed") for _ in range(5)]
    manual.on_plan("wavespeed", "bronze")
    assert all(manual.job(name).started for name in jobs)


def test_accounts_have_slots_of_their_own(make_world: MakeWorld) -> None:
    """A full account makes nobody else wait."""
    world = make_world()
    five_jobs(world)
    world.on_plan("piapi", "free-capped")
    assert world.job(world.accepted("piapi")).started


def test_a_forced_job_still_takes_its_slot(manual: World) -> None:
    """A queued job that a command moved starts when a slot is free, and stays in its state."""
    jobs = five_jobs(manual)
    forced = manual.job(jobs[3])
    manual.sandbox.jobs.move(forced, JobState.PROCESSING)
    manual.advance(73 + 1)
    assert manual.states(*jobs) == ["completed"] * 3 + ["processing"] * 2
    assert (manual.job(jobs[3]).started, manual.account("wavespeed").running) == (True, 2)
    manual.advance(3600)
    assert manual.states(*jobs) == ["completed"] * 3 + ["processing", "completed"]
