"""The replay of any sandbox's export gives the same responses, byte by byte."""

from __future__ import annotations

import asyncio
import os
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from tests.http.fault_client import patient
from tests.stateful.machine import EngineMachine
from tests.stateful.test_faults import PLANS, STEPS, call
from tests.stateful.test_webhooks import WebhookMachine
from upsim import Simulator
from upsim.app import app_for
from upsim.engine.exports import export
from upsim.engine.sandbox import Sandbox
from upsim.web.replay.export_document import Document, read
from upsim.web.replay.response_comparison import ReplayReport, replay

RUNS = int(os.environ.get("UPSIM_STATEFUL_RUNS", "25"))


class ReplayMachine(EngineMachine):
    """The machine of the engine; what each run did is replayed at its end."""

    compared: ClassVar[int] = 0

    def teardown(self) -> None:
        """Replay both sandboxes in fresh simulators."""
        if not hasattr(self, "worlds"):
            return
        try:
            documents = [exported(self.simulator, box.sandbox) for box in self.worlds.boxes]
        finally:
            super().teardown()
        for document in documents:
            type(self).compared += same(document)


class WebhookReplayMachine(WebhookMachine):
    """The machine of the webhooks, without faults that no log can know; replayed at its end."""

    compared: ClassVar[int] = 0

    def teardown(self) -> None:
        """Replay the sandbox as it was since its last reset."""
        if not hasattr(self, "sim"):
            return
        try:
            document = exported(self.sim, self.sim.sandbox)
        finally:
            super().teardown()
        type(self).compared += same(document)

    def _arm(self) -> None:
        """Nothing goes wrong but what receivers answer."""


def exported(simulator: Simulator, sandbox: Sandbox) -> Document:
    """Return the export of a sandbox as it is read from a file."""
    found = export(simulator.registry, sandbox, version="0")
    return read(b"".join(found.parts()), name="export")


def same(document: Document) -> int:
    """Replay a document, which must give the same answers, and return how many there are."""
    report = asyncio.run(replayed(document))
    assert ([], "") == (report.differences, report.stopped)
    assert report.unanswered == 0
    event(f"replayed about {report.compared // 10 * 10} answers")
    return report.compared


async def replayed(document: Document) -> ReplayReport:
    """Return what came of replaying a document."""
    app = app_for(document)
    try:
        return await replay(app, document)
    finally:
        app.close()


UNHURRIED = settings(
    max_examples=RUNS,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def test_any_history_replays() -> None:
    """Any mix of jobs, refusals, downloads, advances and forced states can be replayed."""
    ReplayMachine.compared = 0
    with Simulator() as ReplayMachine.simulator:
        run_state_machine_as_test(ReplayMachine, settings=UNHURRIED)

    assert ReplayMachine.compared > RUNS


def test_any_webhooks_replay() -> None:
    """Webhook attempts replay with every response, with resends, forced ends and resets."""
    WebhookReplayMachine.compared = 0
    run_state_machine_as_test(WebhookReplayMachine, settings=UNHURRIED)

    assert WebhookReplayMachine.compared > RUNS


@given(PLANS, STEPS, st.integers(0, 99))
@example([{"at": "mid_body", "do": "reset_connection"}], ["submit", "poll", "poll"], 1)
@settings(deadline=None, max_examples=2 * RUNS)
def test_any_plan_of_faults_replays(
    plan: list[dict[str, object]], steps: list[str], seed: int
) -> None:
    """A history with dropped, cut, delayed, patched or random responses can be replayed."""
    with Simulator(clock="auto", seed=seed) as sim:
        client = patient(sim)
        for fault in plan:
            client.arm(**fault)
        for step in steps:
            call(client, step)
        document = exported(sim, sim.sandbox)

    assert same(document) >= len(plan)


@pytest.mark.parametrize("seed", [2, 3])
def test_a_replay_with_another_seed_differs(seed: int) -> None:
    """A replay under another seed gives different ids, which the comparison detects."""
    with Simulator(clock="manual", seed=1) as sim:
        patient(sim).job()
        document = exported(sim, sim.sandbox)
    document.sandbox.seed = seed
    report = asyncio.run(replayed(document))

    assert [["body"]] == [[part for part, *_ in found.differs] for found in report.differences]
