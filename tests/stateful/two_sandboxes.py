"""Two sandboxes of one simulator, two accounts of each provider in both, and what a run did."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tests.stateful.asgi_client import Answer, Caller, Request
from tests.stateful.provider_calls import FACES, Face
from upsim import Simulator
from upsim.core.jobs import Job
from upsim.core.ledger import Account
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_request import SandboxRequest

OWNERS = ("main", "other")


@dataclass(frozen=True, slots=True)
class Ticket:
    """An accepted job: where it lives and whose it is."""

    place: int
    provider: str
    owner: str
    job: str


@dataclass
class Box:
    """One sandbox and its keys; `sent` counts what it was asked, `seen` what its jobs did."""

    simulator: Simulator
    sandbox: Sandbox
    keys: Mapping[tuple[str, str], str]
    sent: int = 0
    accepted: int = 0
    seen: dict[str, tuple[object, ...]] = field(default_factory=dict)

    @cached_property
    def admin_path(self) -> str:
        """Return where the admin API has this sandbox."""
        return f"sandboxes/{self.sandbox.id}"

    def account(self, provider: str, owner: str) -> Account:
        """Return an account as the engine sees it."""
        return self.sandbox.accounts.of(provider, owner)

    def job(self, name: str) -> Job | None:
        """Return a job as the engine sees it, unless it is forgotten."""
        return self.sandbox.state.jobs.get(name)

    @property
    def charges(self) -> set[int]:
        """Return the numbers of the ledger's lines that are charges."""
        accounts = self.sandbox.state.accounts.values()
        return {e.number for a in accounts for e in a.entries.values() if e.kind == "charge"}


class Worlds:
    """Everything a run needs, made new for it and gone after it."""

    def __init__(self, simulator: Simulator, clocks: tuple[str, str]) -> None:
        """Make two sandboxes with these clocks and different seeds."""
        self.simulator = simulator
        self.loop = asyncio.new_event_loop()
        self.caller = Caller(simulator.app, self.loop)
        self.boxes = [self._box(seed, clock) for seed, clock in enumerate(clocks, 1)]

    def close(self) -> None:
        """Remove the sandboxes and end the event loop."""
        for box in self.boxes:
            self.simulator.registry.delete(box.sandbox.id)
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def ask(
        self, place: int, face: Face, owner: str, request: Request, *, worst: int = 499
    ) -> Answer:
        """Send a provider's request with the key of an account; no answer is worse than `worst`."""
        box = self.boxes[place]
        box.sent += 1
        answer = self.caller.send(request, face.headers(box.keys[face.name, owner]))
        assert answer.status <= worst, answer
        return answer

    def admin(self, place: int, method: str, path: str, body: object = None) -> Answer:
        """Call the admin API of one sandbox."""
        path = "/".join(filter(None, (self.boxes[place].admin_path, path)))
        return self.caller.admin(method, path, body)

    def _box(self, seed: int, clock: str) -> Box:
        registry = self.simulator.registry
        sandbox, first = registry.create(SandboxRequest(seed=seed, clock=clock, strict_keys=True))
        keys = {(name, "main"): first[name] for name in FACES}
        for name in FACES:
            keys[name, "other"] = registry.issue_key(sandbox, name, owner="other")
        box = Box(self.simulator, sandbox, keys)
        for name, owner in keys:
            box.account(name, owner)
        return box
