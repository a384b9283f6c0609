"""A job and its moves."""

from __future__ import annotations

import pytest

from tests.unit.core.conftest import PLAN, job
from upsim.core.events import JobMoved
from upsim.core.jobs import IllegalMoveError, Job, check_move
from upsim.core.states import EDGES, Failure, JobState

BROKEN = Failure("broken", 500, "It broke.")
WORKING = JobMoved(2_000, "task_1", JobState.PROCESSING)
FAILED = JobMoved(3_000, "task_1", JobState.FAILED, BROKEN)
DELETED = JobMoved(4_000, "task_1", JobState.DELETED, planned=False)


def test_a_new_job() -> None:
    """A newly accepted job is in the first state of its plan and has not ended."""
    new = job()

    assert (new.id, new.state, new.ended) == ("task_1", JobState.WAITING, False)
    assert (new.failure, new.ended_at) == (None, None)


@pytest.mark.parametrize(
    ("moves", "state", "ended"),
    [
        ((WORKING,), JobState.PROCESSING, False),
        ((WORKING, FAILED), JobState.FAILED, True),
        ((WORKING, FAILED, DELETED), JobState.DELETED, True),
    ],
)
def test_the_state_is_that_of_the_last_move(
    moves: tuple[JobMoved, ...], state: JobState, *, ended: bool
) -> None:
    """The state of a job is the state of its last move."""
    moved = job(moves=moves)

    assert (state, ended) == (moved.state, moved.ended)


def test_a_deleted_job_keeps_its_end() -> None:
    """A deleted job still has the reason and the time of its end."""
    moved = job(moves=(WORKING, FAILED, DELETED))

    assert (BROKEN, 3_000) == (moved.failure, moved.ended_at)


@pytest.mark.parametrize(
    ("states", "at"),
    [
        ((JobState.PROCESSING,), 2_000),
        ((JobState.FAILED, JobState.COMPLETED), 3_000),
        ((JobState.COMPLETED,), None),
    ],
)
def test_when_a_state_was_entered(states: tuple[JobState, ...], at: int | None) -> None:
    """The first move into one of the given states sets the time."""
    assert at == job(moves=(WORKING, FAILED)).entered(*states)


@pytest.mark.parametrize(("step", "phase"), [(0, PLAN[1]), (1, PLAN[2]), (2, None), (9, None)])
def test_the_next_phase(step: int, phase: object) -> None:
    """After the last phase, or after a command changed the state, no phase follows."""
    assert phase == job(step=step).next_phase


def can_move(there: Job, state: JobState) -> bool:
    """Return whether a job may go to a state."""
    try:
        check_move(there, state)
    except IllegalMoveError:
        return False
    return True


@pytest.mark.parametrize("state", sorted(JobState))
def test_moves_follow_the_edges(state: JobState) -> None:
    """A running job can move exactly along the edges of the state graph."""
    assert ((JobState.PROCESSING, state) in EDGES) is can_move(job(moves=(WORKING,)), state)


def test_an_illegal_move() -> None:
    """The error for an illegal move names the current and the requested state."""
    with pytest.raises(IllegalMoveError, match="job task_1 is failed; it cannot become processing"):
        check_move(job(moves=(WORKING, FAILED)), JobState.PROCESSING)
