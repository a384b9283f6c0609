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


def test_jobs_above_the_concurrency_limit_wait(manual: World) -> None:
    """Jobs above the concurrency limit are accepted and stay `waiting` while three jobs run."""
    jobs = five_jobs(manual)
    manual.advance(30)
    assert manual.states(*jobs) == ["processing"] * 3 + ["waiting"] * 2


def test_a_waiting_job_is_charged_at_its_acceptance(manual: World) -> None:
    """A job that waits for a slot is charged when it is accepted, and not when it starts."""
    five_jobs(manual)
    kinds = [entry.kind for entry in manual.account("wavespeed").entries.values()]
    assert kinds == ["charge"] * 5


def test_waiting_jobs_start_when_running_jobs_end(manual: World) -> None:
    """When the running jobs end at 73 s, the waiting jobs start."""
    jobs = five_jobs(manual)
    manual.advance(73 + 1)
    assert manual.states(*jobs) == ["completed"] * 3 + ["processing"] * 2


def test_a_job_that_waited_runs_for_its_full_duration(manual: World) -> None:
    """A job that waited for a slot runs for 73 s from its start."""
    jobs = five_jobs(manual)
    manual.advance(73 + 73)
    assert manual.states(*jobs) == ["completed"] * 5


def test_waiting_jobs_start_in_the_order_of_acceptance(manual: World) -> None:
    """A free slot goes to the job that was accepted first among the waiting jobs."""
    jobs = five_jobs(manual)
    manual.sandbox.jobs.move(manual.job(jobs[1]), manual.job(jobs[1]).state.FAILED)
    assert [manual.job(name).started for name in jobs] == [True, True, True, True, False]


def test_deleting_a_running_job_starts_a_waiting_job(manual: World) -> None:
    """If a running job is deleted, its slot goes to a waiting job."""
    jobs = five_jobs(manual)
    path, body = "/api/v3/predictions/delete", {"ids": [jobs[0]]}
    manual.clients["wavespeed"].post(path, json=body)
    assert (manual.account("wavespeed").running, manual.job(jobs[3]).started) == (SLOTS, True)


def test_deleting_a_waiting_job_frees_no_slot(manual: World) -> None:
    """If a waiting job is deleted, the same number of jobs runs, and the queue gets shorter."""
    jobs = five_jobs(manual)
    path, body = "/api/v3/predictions/delete", {"ids": [jobs[3]]}
    manual.clients["wavespeed"].post(path, json=body)
    account = manual.account("wavespeed")
    assert (account.running, list(account.queue)) == (SLOTS, [jobs[4]])


def test_a_plan_upgrade_starts_waiting_jobs(manual: World) -> None:
    """A plan with a higher limit starts waiting jobs immediately, before a running job ends."""
    jobs = five_jobs(manual)
    manual.on_plan("wavespeed", "silver")
    assert all(manual.job(name).started for name in jobs)


def test_a_plan_downgrade_does_not_stop_running_jobs(manual: World) -> None:
    """After a change to a plan with a lower limit, all running jobs continue."""
    manual.on_plan("wavespeed", "silver")
    jobs = [manual.accepted("wavespeed") for _ in range(5)]
    manual.on_plan("wavespeed", "bronze")
    assert all(manual.job(name).started for name in jobs)


def test_each_account_has_its_own_concurrency_limit(make_world: MakeWorld) -> None:
    """If one account is at its limit, the job of another account still starts."""
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
