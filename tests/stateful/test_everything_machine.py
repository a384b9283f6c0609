"""A rule-based machine with faults, webhooks, operators and time at once."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.eager_counts import compare_activity
from tests.stateful.everything_machine import WorldMachine

RUNS = int(os.environ.get("UPSIM_STATEFUL_RUNS", "30"))
LEAST_STEPS = 600


def test_the_sandbox_keeps_its_invariants(monkeypatch: pytest.MonkeyPatch) -> None:
    """No order of calls, faults, receivers, commands and time breaks money, jobs, log or counts."""
    compare_activity(monkeypatch)
    WorldMachine.steps = 0
    run_state_machine_as_test(
        WorldMachine,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
    assert WorldMachine.steps >= LEAST_STEPS
