"""A simulator in process, sandboxes in it, and clients that hold a key of one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from upsim import Simulator
from upsim.core.jobs import Job
from upsim.core.ledger import Account
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_request import SandboxRequest

VIDEO = "https://example.com/clip.mp4"


@dataclass(frozen=True, slots=True)
class World:
    """One sandbox, and a client for each provider."""

    sim: Simulator
    sandbox: Sandbox
    clients: dict[str, httpx.Client]

    def submit(self, provider: str, **inputs: object) -> httpx.Response:
        """Submit the provider's default video."""
        path, body = SUBMITS[provider]
        if provider == "piapi":
            return self.clients[provider].post(path, json=body)
        return self.clients[provider].post(path, json={**body, **inputs})

    def accepted(self, provider: str, **inputs: object) -> str:
        """Submit a video that must be accepted and return the id of the job."""
        answer = self.submit(provider, **inputs)
        assert answer.status_code == 200, answer.text
        return list(self.sandbox.state.jobs)[-1]

    def poll(self, provider: str, job: str) -> httpx.Response:
        """Ask how a job is."""
        if provider == "venice":
            path, body = "/api/v1/video/retrieve", {"queue_id": job}
            return self.clients[provider].post(path, json=body)
        return self.clients[provider].get(POLLS[provider].format(job))

    def job(self, name: str) -> Job:
        """Return a job as the engine sees it."""
        return self.sandbox.state.jobs[name]

    def account(self, provider: str) -> Account:
        """Return the account of the provider's first key."""
        return self.sandbox.accounts.of(provider, "main")

    def on_plan(self, provider: str, plan: str) -> None:
        """Put the account on another plan."""
        self.sandbox.accounts.set_plan(self.account(provider), plan)

    def advance(self, seconds: float) -> list[tuple[str, str]]:
        """Move the clock on and return kind and key of what fell due."""
        to = self.sandbox.run_due() + round(seconds * 1_000_000)
        return [(deadline.kind, deadline.key) for deadline in self.sandbox.advance(to)]

    def states(self, *names: str) -> list[str]:
        """Return the states of jobs."""
        return [self.job(name).state.value for name in names]


SUBMITS: dict[str, tuple[str, dict[str, Any]]] = {
    "wavespeed": ("/api/v3/wavespeed-ai/video-upscaler", {"video": VIDEO}),
    "venice": ("/api/v1/video/queue", {"model": "topaz-video-upscale", "video_url": VIDEO}),
    "piapi": (
        "/api/v1/task",
        {"model": "Qubico/video-toolkit", "task_type": "upscale", "input": {"video": VIDEO}},
    ),
    "vicsee": ("/api/v1/tools/upscale-video", {"video_url": VIDEO}),
}
POLLS = {
    "wavespeed": "/api/v3/predictions/{}/result",
    "piapi": "/api/v1/task/{}",
    "vicsee": "/api/v1/tasks/{}",
}
MakeWorld = Callable[..., World]


@pytest.fixture
def make_world() -> Iterator[MakeWorld]:
    """Return a function that makes a sandbox in a simulator of its own."""
    with ExitStack() as stack:

        def make(*, simulator: dict[str, Any] | None = None, **order: Any) -> World:  # noqa: ANN401
            sim = stack.enter_context(Simulator(clock="manual", **(simulator or {})))
            sandbox, keys = sim.registry.create(
                SandboxRequest(**{"clock": "manual", "seed": 1, **order})
            )
            clients = {}
            for provider, key in keys.items():
                name, value = (
                    ("x-api-key", key)
                    if provider == "piapi"
                    else ("authorization", f"Bearer {key}")
                )
                clients[provider] = stack.enter_context(
                    httpx.Client(
                        transport=sim.transport(),
                        base_url=sim.base_url(provider),
                        headers={name: value},
                    )
                )
            return World(sim, sandbox, clients)

        yield make


@pytest.fixture
def manual(make_world: MakeWorld) -> World:
    """Return a sandbox whose clock moves when told."""
    return make_world()


@pytest.fixture
def auto(make_world: MakeWorld) -> World:
    """Return a sandbox whose clock jumps from poll to poll."""
    return make_world(clock="auto")
