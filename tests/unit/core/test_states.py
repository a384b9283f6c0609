"""The moves that exist."""

from itertools import product

import pytest

from upsim.core.states import EDGES, TERMINAL, UNSUCCESSFUL, JobState


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_a_terminal_state_stays(state: JobState) -> None:
    """A job that has ended can at most be deleted."""
    assert {after for before, after in EDGES if before == state} <= {JobState.DELETED}


@pytest.mark.parametrize("state", sorted(JobState))
def test_no_move_leads_nowhere(state: JobState) -> None:
    """No state follows itself."""
    assert (state, state) not in EDGES


def test_nothing_leads_back() -> None:
    """There is no way back: the moves have no circle."""
    reached = set(EDGES)
    for _ in JobState:
        reached |= {(a, d) for (a, b), (c, d) in product(reached, EDGES) if b == c}

    assert [a for a, b in reached if a == b] == []


@pytest.mark.parametrize("state", sorted(set(JobState) - {JobState.WAITING}))
def test_every_state_can_be_reached(state: JobState) -> None:
    """Every state follows some other."""
    assert state in {after for _, after in EDGES}


def test_what_is_unsuccessful_has_ended() -> None:
    """Failing, cancelling and timing out are ends."""
    assert UNSUCCESSFUL < TERMINAL
