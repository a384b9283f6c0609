"""A PiAPI of one's own for each test: in process, with a clock that moves when told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.http.conftest import ScenarioFile
from upsim import Simulator

KEY = "a-key-of-the-tests"
FUNDS = {"piapi": {"balance": "1000000000"}}
"""100 USD."""
MODEL = "Qubico/video-toolkit"


@dataclass(frozen=True, slots=True)
class Api:
    """One sandbox and a client that is logged in to it."""

    sim: Simulator
    http: httpx.Client

    def clip(self, name: str = "640x360_10fps_6s.mp4") -> str:
        """Return the address of a synthetic clip, by default of the sixty frames that are usual."""
        return f"{self.sim.base_url('piapi').removesuffix('/piapi')}/media/synthetic/{name}"

    def clip_bytes(self, name: str = "64x64_10fps_1s.mp4") -> bytes:
        """Return the content of a synthetic clip."""
        return self.http.get(self.clip(name)).raise_for_status().content

    def body(self, video: str | None = None, **config: object) -> dict[str, Any]:
        """Return a create request that is right in every way."""
        found = {"model": MODEL, "task_type": "upscale", "input": {"video": video or self.clip()}}
        return {**found, "config": config} if config else found

    def create(self, video: str | None = None, **config: object) -> dict[str, Any]:
        """Create a task and return its task object (of the enveloped forms)."""
        answer = self.http.post("/api/v1/task", json=self.body(video, **config))
        assert answer.status_code == 200, answer.text
        task: dict[str, Any] = answer.json()["data"]
        return task

    def task(self, task_id: str) -> dict[str, Any]:
        """Return the task object of get-task."""
        answer = self.http.get(f"/api/v1/task/{task_id}")
        assert answer.status_code == 200, answer.text
        task: dict[str, Any] = answer.json()["data"]
        return task

    def data(self, path: str) -> dict[str, Any]:
        """Return `data` of a successful GET."""
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def wallet(self) -> dict[str, Any]:
        """Return the wallet of account info."""
        wallet: dict[str, Any] = self.data("/account/info")["wallet"]
        return wallet

    @property
    def second(self) -> int:
        """Return the present virtual second of the Unix era."""
        return self.sim.sandbox.run_due() // 1_000_000

    def advance(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.sim.advance(seconds)


Start = Callable[..., Api]


@pytest.fixture
def start(scenario_file: ScenarioFile) -> Iterator[Start]:
    """Return a function that starts a simulator with these parts of a scenario of its own."""
    with ExitStack() as stack:

        def make(*, key: str = KEY, strict_keys: bool = False, **scenario: object) -> Api:
            document = {"extends": "piapi/baseline", "accounts": FUNDS, **scenario}
            sim = stack.enter_context(
                Simulator(scenario_file(document), clock="manual", seed=1, strict_keys=strict_keys)
            )
            http = stack.enter_context(
                httpx.Client(
                    transport=sim.transport(),
                    base_url=sim.base_url("piapi"),
                    headers={"x-api-key": key},
                )
            )
            return Api(sim, http)

        yield make


@pytest.fixture
def api(start: Start) -> Api:
    """Return a PiAPI as documented, with ample funds and no limits."""
    return start()
