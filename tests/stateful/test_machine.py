"""The engine under a rule-based machine: any order of calls, commands and time."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.eager_counts import ComparedActivity, compare_activity
from tests.stateful.machine import EngineMachine
from upsim import Simulator
from upsim.engine.event_log import MemoryLog

RUNS = int(os.environ.get("UPSIM_STATEFUL_RUNS", "50"))
STEPS = 50
LEAST_STEPS = 1200


@pytest.fixture(scope="module", autouse=True)
def simulator() -> Iterator[Simulator]:
    """Give the machine a simulator; each run makes sandboxes of its own in it."""
    with Simulator(clock="manual", strict_keys=True) as sim:
        sim.registry._log = MemoryLog(worth_it=16)  # short histories are compacted too
        EngineMachine.simulator = sim
        yield sim


def test_the_engine_keeps_its_invariants(monkeypatch: pytest.MonkeyPatch) -> None:
    """No order of submits, polls, cancels, failures and clock jumps breaks an invariant.

    Counts of requests that waited for others are those of requests that were counted at once.
    """
    compare_activity(monkeypatch)
    EngineMachine.steps = 0
    run_state_machine_as_test(
        EngineMachine,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
    assert EngineMachine.steps >= LEAST_STEPS
    assert ComparedActivity.repetitions
