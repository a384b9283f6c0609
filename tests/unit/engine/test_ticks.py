"""Steps of jobs on clocks that move by themselves: they end on whole milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import httpx
import pytest

from upsim import Simulator
from upsim.core.instants import SECOND, Instant
from upsim.core.jobs import Job

WALL = 1_800_000_000 * SECOND + 123_457
VIDEO = {"video_url": "https://example.com/a.mp4"}
KEY = {"authorization": "Bearer sk-any"}
MOVING = ("real", "scaled:1")
Submit = Callable[[str, int], tuple[Simulator, str]]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the machine's time in microseconds, which only the test moves."""
    micros = [WALL]
    fake = SimpleNamespace(time_ns=lambda: micros[0] * 1000)
    monkeypatch.setattr("upsim.engine.clock.time", fake)
    return micros


@pytest.fixture
def submit(machine: list[int]) -> Iterator[Submit]:
    """Return what makes a simulator with one job, of which it returns the id."""
    made: list[Simulator] = []

    def begin(clock: str, pace: int) -> tuple[Simulator, str]:
        machine[0] = WALL
        sim = Simulator(clock=clock)
        made.append(sim)
        sim.sandbox.clock.change_pace(pace)
        with httpx.Client(transport=sim.transport(), headers=KEY) as http:
            path = "/api/v1/tools/upscale-video"
            answer = http.post(sim.base_url("vicsee") + path, json=VIDEO).json()
        return sim, answer["data"]["id"]

    yield begin
    for sim in made:
        sim.close()


def settled(sim: Simulator, name: str) -> Job:
    """Return a job as it is by now."""
    sim.sandbox.run_due()
    return sim.sandbox.state.jobs[name]


def planned(job: Job) -> Instant:
    """Return how long the plan of a job takes."""
    return sum(phase.lasts or 0 for phase in job.accepted.phases)


@pytest.mark.parametrize("clock", MOVING)
@pytest.mark.parametrize("pace", [1, 7, 1_000_003])
def test_a_plan_takes_exactly_its_time(
    submit: Submit, machine: list[int], clock: str, pace: int
) -> None:
    """A job ends when the time of all its steps has passed, within milliseconds."""
    sim, name = submit(clock, pace)
    whole = planned(settled(sim, name))
    machine[0] += whole
    job = settled(sim, name)
    assert job.ended
    early = WALL + whole - (job.ended_at or 0)
    assert 0 <= early < 1_000 * len(job.moves)


def test_an_advance_by_the_plan_ends_the_job(submit: Submit) -> None:
    """An advance by the sum of the planned steps ends the job."""
    sim, name = submit("scaled:1", 1)
    sim.advance(planned(settled(sim, name)) / SECOND)
    assert settled(sim, name).ended


@pytest.mark.parametrize("clock", MOVING)
def test_steps_end_on_whole_milliseconds(submit: Submit, machine: list[int], clock: str) -> None:
    """Steps end on whole milliseconds, so that steps of one millisecond end together."""
    sim, name = submit(clock, 7)
    machine[0] += 3_600 * SECOND
    moves = settled(sim, name).moves
    assert moves
    assert [0] * len(moves) == [move.at % 1_000 for move in moves]


def test_a_step_without_length_ends_at_once(submit: Submit) -> None:
    """A step that the pace shortens to zero ends at the instant at which it starts."""
    sim, name = submit("real", 10**12)
    job = settled(sim, name)
    assert (True, WALL) == (job.ended, job.ended_at)


@pytest.mark.parametrize("clock", ["manual", "auto"])
def test_clocks_moved_by_hand_keep_every_microsecond(submit: Submit, clock: str) -> None:
    """On a clock that is moved by hand, a step lasts exactly its planned time."""
    sim, name = submit(clock, 7)
    sim.advance(3_600)
    job = settled(sim, name)
    assert job.accepted.at + planned(job) == job.ended_at
