"""Histories of the state machines of `tests/stateful`, each with a fixed seed."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import partial
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import rule, run_state_machine_as_test

from tests.exports.histories import Histories, played_wall
from tests.stateful.everything_machine import WorldMachine, faces, numbers
from tests.stateful.machine import EngineMachine
from tests.stateful.provider_calls import Face
from tests.stateful.strategies.faults import any_fault
from tests.stateful.test_webhooks import WebhookMachine
from upsim import Simulator
from upsim.engine.exports import export
from upsim.engine.sandbox import Sandbox

SEEDS = range(16)
RUNS = 8
"""Runs of each seed; the longest is kept, because the first runs of a machine are trivial."""
STEPS = 40
FEW_RUNS = settings(
    max_examples=RUNS,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # a run that fails is no member, so nothing is shrunk
    suppress_health_check=list(HealthCheck),
)
Exports = list[dict[str, Any]]


def exported(simulator: Simulator, sandbox: Sandbox) -> dict[str, Any]:
    """Return the export of a sandbox."""
    parts = export(simulator.registry, sandbox, version="0").parts()
    found: dict[str, Any] = json.loads(b"".join(parts))
    return found


class Engine(EngineMachine):
    """The machine of the engine, which exports both sandboxes at its end."""

    runs: ClassVar[list[Exports]]

    def teardown(self) -> None:
        """Export both sandboxes."""
        if hasattr(self, "worlds"):
            boxes = self.worlds.boxes
            self.runs.append([exported(self.simulator, box.sandbox) for box in boxes])
        super().teardown()


class Webhooks(WebhookMachine):
    """The machine of webhooks, which exports its sandbox at its end."""

    runs: ClassVar[list[Exports]]

    def _arm(self) -> None:
        """Arm no fault, because an export has only the faults of the admin API."""

    def teardown(self) -> None:
        """Export the sandbox."""
        if hasattr(self, "sim"):
            self.runs.append([exported(self.sim, self.box)])
        super().teardown()


class World(WorldMachine):
    """The machine of whole sandboxes, which exports all of them at its end."""

    runs: ClassVar[list[Exports]]

    @rule(box=numbers, face=faces, fault=any_fault)
    def arm(self, box: int, face: Face, fault: dict[str, Any]) -> None:
        """Arm a fault whose responses can replay.

        An export cannot hide a secret in a response that is no longer JSON.
        """
        if not any(name in fault["do"] for name in ("corrupt", "headers")):
            super().arm(box, face, fault)

    def teardown(self) -> None:
        """Export the sandboxes."""
        if hasattr(self, "sim"):
            self.runs.append([exported(self.sim, box.sandbox) for box in self.boxes])
        super().teardown()


def machines() -> Histories:
    """Run each machine, and yield a history of each sandbox that got at least one request."""
    for machine in (Engine, Webhooks, World):
        for number in SEEDS:
            for place, found in enumerate(_exports(machine, number)):
                if any("request" in entry for entry in found["commands"]):
                    name = f"{machine.__name__.lower()} {number} sandbox {place}"
                    yield name, partial(deepcopy, found)


def _exports(machine: type[Engine | Webhooks | World], number: int) -> Exports:
    """Run a machine with a fixed seed and return the exports of the longest run."""
    machine.runs = []
    with played_wall(), Simulator(clock="manual", strict_keys=True) as Engine.simulator:
        run_state_machine_as_test(seed(number)(machine), settings=FEW_RUNS)
    return max(machine.runs, key=lambda run: sum(len(found["commands"]) for found in run))
