"""The restart rule: a sandbox that is built again from its events answers like the original."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from msgspec.structs import replace

from tests.stateful.asgi_client import Answer, Caller, Request
from tests.stateful.machine import EngineMachine
from tests.stateful.test_webhooks import WebhookMachine
from tests.stateful.two_sandboxes import Box, Worlds
from upsim import Simulator
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_request import SandboxRequest
from upsim.engine.snapshots import Snapshot, as_of, folded, take
from upsim.store.event_encoding import EventReader, EventWriter

RUNS = int(os.environ.get("UPSIM_STATEFUL_RUNS", "25"))
UNHURRIED = settings(
    max_examples=RUNS,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def from_events(sandbox: Sandbox) -> Snapshot:
    """Return a snapshot that is built from the events and the counters of a sandbox, as bytes."""
    at, written = sandbox.run_due(), EventWriter().batch([(1, sandbox.events())])
    [(_, events)] = EventReader().batch(written)
    snapshot = as_of(sandbox, at, events, folded(events))
    return replace(snapshot, report=sandbox.report_card.encoded())


def restarted(simulator: Simulator, sandbox: Sandbox) -> Sandbox:
    """Replace a sandbox by one that is built from its events, and return that one."""
    return simulator.registry.restore(sandbox.id, from_events(sandbox))


class TwinCaller(Caller):
    """Sends each request to two applications, whose answers must be equal."""

    twin: Caller
    restart: Callable[[], None]
    answers: ClassVar[int] = 0

    def send(self, request: Request, headers: Mapping[str, str]) -> Answer:
        """Return the answer of the first application; the second one restarts after its answer."""
        answer = super().send(request, headers)
        assert self.twin.send(request, headers) == answer
        TwinCaller.answers += 1
        self.restart()
        return answer


class TwinWorlds(Worlds):
    """Two sandboxes, and in another simulator the same two, which restart after each request."""

    def __init__(self, simulator: Simulator, clocks: tuple[str, str], other: Simulator) -> None:
        """Make the sandboxes of both simulators, with the same ids, seeds and keys."""
        super().__init__(simulator, clocks)
        self.other = other
        self.twins = [self._twin(box, box.sandbox.seeds.seed) for box in self.boxes]
        self.caller = TwinCaller(simulator.app, self.loop)
        self.caller.twin = Caller(other.app, self.loop)
        self.caller.restart = self._restart

    def close(self) -> None:
        """Compare the report cards of the twins, and remove the sandboxes of both simulators."""
        for box, twin in zip(self.boxes, self.twins, strict=True):
            assert box.sandbox.report_card.encoded() == twin.report_card.encoded()
        for box in self.boxes:
            self.other.registry.delete(box.sandbox.id)
        super().close()

    def _twin(self, box: Box, seed: int) -> Sandbox:
        order = SandboxRequest(
            id=box.sandbox.id,
            seed=seed,
            clock=box.sandbox.clock.label,
            strict_keys=True,
            keys={provider: key for (provider, owner), key in box.keys.items() if owner == "main"},
        )
        registry = self.other.registry
        sandbox, _ = registry.create(order)
        for provider, owner in box.keys:
            if owner != "main":
                key = box.keys[provider, owner]
                registry.issue_key(sandbox, provider, owner=owner, key=key)
        for provider, owner in box.keys:
            sandbox.accounts.of(provider, owner)
        return sandbox

    def _restart(self) -> None:
        self.twins = [restarted(self.other, sandbox) for sandbox in self._present()]

    def _present(self) -> list[Sandbox]:
        return [self.other.registry.get(sandbox.id) for sandbox in self.twins]


class RestartMachine(EngineMachine):
    """The machine of the engine, with a twin of each sandbox that restarts after each request."""

    other: ClassVar[Simulator]

    def make_worlds(self, clocks: tuple[str, str]) -> Worlds:
        """Return two sandboxes with these clocks, and their twins."""
        return TwinWorlds(self.simulator, clocks, self.other)


class RestartedWebhookMachine(WebhookMachine):
    """The machine of the webhooks, whose sandbox restarts now and then."""

    restarts: ClassVar[int] = 0

    @rule(copied=st.booleans())
    def restart(self, *, copied: bool) -> None:
        """The sandbox continues from a copy of its state, or from its events."""
        snapshot = take(self.box) if copied else from_events(self.box)
        self.sim.registry.restore("default", snapshot)
        self._arm()
        type(self).restarts += 1


def test_a_restarted_sandbox_answers_like_the_original() -> None:
    """Each later status, header, id, time, amount and finding is the same after any restart."""
    TwinCaller.answers = 0
    with Simulator() as RestartMachine.simulator, Simulator() as RestartMachine.other:
        run_state_machine_as_test(RestartMachine, settings=UNHURRIED)

    assert TwinCaller.answers > RUNS


def test_webhooks_hold_across_restarts() -> None:
    """No attempt is lost, doubled or made against the schedule if the sandbox restarts."""
    RestartedWebhookMachine.restarts = 0
    run_state_machine_as_test(RestartedWebhookMachine, settings=UNHURRIED)

    assert RestartedWebhookMachine.restarts > 0
