"""The moves that exist."""

from itertools import product

import pytest

from upsim.core.states import EDGES, TERMINAL, UNSUCCESSFUL, JobState


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_a_terminal_state_stays(state: JobState) -> None:
    """The only move of an ended job is its deletion."""
    assert {after for before, after in EDGES if before == state} <= {JobState.DELETED}


@pytest.mark.parametrize("state", sorted(JobState))
def test_no_state_follows_itself(state: JobState) -> None:
    """No move leads from a state to the same state."""
    assert (state, state) not in EDGES


def test_no_move_leads_back() -> None:
    """The graph of state moves has no cycle."""
    reached = set(EDGES)
    for _ in JobState:
        reached |= {(a, d) for (a, b), (c, d) in product(reached, EDGES) if b == c}

    assert [a for a, b in reached if a == b] == []


@pytest.mark.parametrize("state", sorted(set(JobState) - {JobState.WAITING}))
def test_every_state_can_be_reached(state: JobState) -> None:
    """Every state has a move from another state."""
    assert state in {after for _, after in EDGES}


def test_unsuccessful_states_are_terminal() -> None:
    """Failed, cancelled and timed-out jobs have ended."""
    assert UNSUCCESSFUL < TERMINAL
