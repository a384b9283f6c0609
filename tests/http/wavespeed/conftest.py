"""WaveSpeedAI in process: a simulator under a small scenario, and a client with a key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.http.conftest import ScenarioFile
from upsim import Simulator
from upsim.core.ledger import Account

UPSCALER = "wavespeed-ai/video-upscaler"
VIDEO = "https://clips.example/12.mp4"


@dataclass(frozen=True, slots=True)
class Api:
    """A simulator and a client of one account."""

    sim: Simulator
    http: httpx.Client

    def post(self, path: str, body: object = None, **more: Any) -> httpx.Response:  # noqa: ANN401
        """Post JSON below `/api/v3`."""
        if body is not None:
            more["json"] = body
        return self.http.post(f"/api/v3/{path}", **more)

    def get(self, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - passed on to httpx
        """Get something below `/api/v3`."""
        return self.http.get(f"/api/v3/{path}", **more)

    def submit(self, model: str = UPSCALER, **inputs: object) -> Any:  # noqa: ANN401 - JSON
        """Submit a video, which must be accepted, and return the record."""
        return data_of(self.post(model, {"video": VIDEO, **inputs}))

    def result(self, task: str) -> Any:  # noqa: ANN401 - JSON
        """Return the record of a task."""
        return data_of(self.get(f"predictions/{task}/result"))

    def finish(self, task: str) -> Any:  # noqa: ANN401 - JSON
        """Let time pass until a task has ended, and return its record."""
        self.sim.advance(6001)
        return self.result(task)

    @property
    def balance(self) -> Decimal:
        """What the first account has, by the ledger."""
        return self.account.balance

    @property
    def account(self) -> Account:
        """The account of the first key that was used."""
        return self.sim.sandbox.state.accounts[1]

    @property
    def kinds(self) -> list[str]:
        """The kinds of ledger entries so far."""
        return [entry.kind for entry in self.account.entries.values()]

    def of(self, key: str) -> httpx.Client:
        """Return a client with another key."""
        return httpx.Client(
            transport=self.sim.transport(),
            base_url=self.http.base_url,
            headers={"Authorization": f"Bearer {key}"},
        )


def data_of(answer: httpx.Response) -> Any:  # noqa: ANN401 - JSON
    """Return what a success envelope holds, amounts as decimals."""
    assert answer.status_code == 200, answer.text
    body = json.loads(answer.text, parse_float=Decimal)
    assert list(body) == ["code", "message", "data"]
    assert (body["code"], body["message"]) == (200, "success")
    return body["data"]


Start = Callable[..., Api]


@pytest.fixture
def start(scenario_file: ScenarioFile) -> Iterator[Start]:
    """Return a function that starts a simulator under a scenario of its own."""
    with ExitStack() as stack:

        def begin(
            *,
            clock: str = "manual",
            dialect: str = "",
            media: Mapping[str, str] | None = None,
            account: Mapping[str, str] | None = None,
            more: Mapping[str, object] | None = None,
            strict: bool = False,
            **knobs: str,
        ) -> Api:
            changes: dict[str, object] = {
                "media": [{"url": url, **rule_of(rule)} for url, rule in (media or {}).items()],
                "accounts": {"wavespeed": {"balance": "100", **(account or {})}},
                "knobs": knobs,
                **(more or {}),
            }
            written = {k: v for k, v in changes.items() if v}
            name = scenario_file({"extends": "wavespeed/baseline", **written})
            sim = Simulator(name, clock=clock, seed=1, strict_keys=strict)
            stack.enter_context(sim)
            client = httpx.Client(
                transport=sim.transport(),
                base_url=sim.base_url("wavespeed", dialect),
                headers={"Authorization": "Bearer first"},
            )
            return Api(sim, stack.enter_context(client))

        yield begin


def rule_of(found: str) -> dict[str, object]:
    """Return a media rule: a length in seconds, or the word for why there is none."""
    return {found: True} if found[0].isalpha() else {"duration": found}


@pytest.fixture
def api(start: Start) -> Api:
    """Return WaveSpeedAI as the guide describes it, on a clock that stands still."""
    return start()
