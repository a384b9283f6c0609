"""A VicSee of one's own for each test: in process, with a clock that moves when told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.http.conftest import ScenarioFile
from upsim import Simulator
from upsim.app import IN_PROCESS_HOST

KEY = "sk-a-key-of-the-tests"
TOOL = "/api/v1/tools/upscale-video"
GENERATE = "/api/v1/generate"
MODEL = "topaz-video-upscale"


@dataclass(frozen=True, slots=True)
class Api:
    """One sandbox and a client that is logged in to it."""

    sim: Simulator
    http: httpx.Client

    def clip(self, name: str = "64x64_10fps_1s.mp4") -> str:
        """Return the address of a synthetic clip."""
        return f"{IN_PROCESS_HOST}/media/synthetic/{name}"

    def rule(self, seconds: str, container: str = "mp4") -> str:
        """Return an address that the scenario's media rules know, of this many seconds."""
        return f"https://clips.example/{container}/{seconds}"

    def tool(self, video: object = None, **body: object) -> httpx.Response:
        """Ask the dedicated endpoint; without a video the body has no `video_url`."""
        document = body if video is None else {"video_url": video, **body}
        return self.http.post(TOOL, json=document)

    def task_of(self, video: str | None = None, **body: object) -> str:
        """Create a task and return its id."""
        answer = self.tool(video or self.clip(), **body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["id"])

    def data(self, path: str) -> Any:  # noqa: ANN401 - whatever the answer holds
        """Return `data` of a successful GET."""
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def task(self, task: str) -> dict[str, Any]:
        """Return a task as the Tasks API shows it."""
        found: dict[str, Any] = self.data(f"/api/v1/tasks/{task}")
        return found

    def credits(self) -> int:
        """Return the credits that are left."""
        left: int = self.data("/api/v1/credits")["credits"]
        return left

    def as_other(self, key: str = "sk-another-key") -> httpx.Client:
        """Return a client with another key of the same server."""
        return httpx.Client(
            transport=self.sim.transport(),
            base_url=self.http.base_url,
            headers={"Authorization": f"Bearer {key}"},
        )


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of an answer that must have the form of VicSee's errors."""
    document = answer.json()
    assert document.keys() == {"success", "error"}
    assert document["success"] is False
    assert document["error"].keys() == {"code", "message"}
    return answer.status_code, document["error"]["code"]


def message(answer: httpx.Response) -> str:
    """Return the text of an error."""
    return str(answer.json()["error"]["message"])


Start = Callable[..., Api]
SECONDS = ["0.2", "4.5", "5", "8.000001", "8.5", "12.25", "60", "60.000001", "60.06", "60.4"]


def rules() -> list[dict[str, object]]:
    """Return media rules for lengths that no synthetic clip can have exactly."""
    return [
        {
            "url": f"https://clips.example/{container}/{seconds}",
            "duration": seconds,
            "size": "320x240",
            "fps": 30,
            "container": container,
        }
        for container in ("mp4", "mov", "mkv", "webm", "avi", "other")
        for seconds in SECONDS
    ]


@pytest.fixture
def start(scenario_file: ScenarioFile) -> Iterator[Start]:
    """Return a function that starts a simulator with these parts of a scenario of its own."""
    with ExitStack() as stack:

        def make(
            *,
            key: str = KEY,
            strict_keys: bool = False,
            dialect: str = "",
            extends: str = "vicsee/baseline",
            account: dict[str, str] | None = None,
            clock: str = "manual",
            **scenario: object,
        ) -> Api:
            usual = {"balance": "20000"} if extends == "vicsee/baseline" else None
            given = usual if account is None else account
            accounts = {} if given is None else {"accounts": {"vicsee": given}}
            document = {"extends": extends, "media": rules(), **accounts, **scenario}
            sim = stack.enter_context(
                Simulator(scenario_file(document), clock=clock, seed=1, strict_keys=strict_keys)
            )
            http = stack.enter_context(
                httpx.Client(
                    transport=sim.transport(),
                    base_url=sim.base_url("vicsee", dialect),
                    headers={"Authorization": f"Bearer {key}"},
                )
            )
            return Api(sim, http)

        yield make


@pytest.fixture
def api(start: Start) -> Api:
    """Return a VicSee as documented, with ample funds and no limits."""
    return start()
