"""A sandbox of its own for each test, and Venice's API in it."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import pytest

from upsim import Simulator
from upsim.core.jobs import Job
from upsim.core.ledger import Account, Entry
from upsim.core.states import JobState
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_request import SandboxRequest

MODEL = "topaz-video-upscale"
VIDEO = "https://example.com/input-video.mp4"
HOST = "http://upsim.test"


@dataclass(frozen=True, slots=True)
class Venice:
    """Venice in one sandbox, with one of its keys."""

    sim: Simulator
    sandbox: Sandbox
    key: str
    dialect: str = ""

    @property
    def account(self) -> Account:
        """Return the account of the sandbox's first key."""
        return self.sandbox.accounts.of("venice", "main")

    @property
    def balance(self) -> Decimal:
        """Return what the account holds."""
        return self.account.balance

    @property
    def entries(self) -> list[Entry]:
        """Return the account's ledger, oldest first."""
        return list(self.account.entries.values())

    @property
    def jobs(self) -> list[str]:
        """Return the ids of the account's jobs."""
        return list(self.account.jobs)

    def job(self, queue_id: str) -> Job:
        """Return a job as the engine sees it."""
        return self.sandbox.state.jobs[queue_id]

    def under(self, dialect: str) -> "Venice":
        """Return the same sandbox with the dialect in the path."""
        return Venice(self.sim, self.sandbox, self.key, dialect)

    def with_key(self, key: str) -> "Venice":
        """Return the same sandbox seen with another key."""
        return Venice(self.sim, self.sandbox, key, self.dialect)

    def second_key(self, owner: str = "other") -> "Venice":
        """Return the same sandbox seen with a key of another account."""
        return self.with_key(self.sim.registry.issue_key(self.sandbox, "venice", owner=owner))

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        """Send a request below `/api/v1/`; `by_path` names the sandbox there, not by the key."""
        named = self.sandbox.id if options.pop("by_path", False) else ""
        url = f"{self.sim.base_url('venice', self.dialect, sandbox=named)}/api/v1/{path}"
        headers = {"authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        headers = {name: value for name, value in headers.items() if value is not None}
        with httpx.Client(transport=self.sim.transport()) as http:
            return http.request(method, url, headers=headers, **options)

    def get(self, path: str, **params: str) -> httpx.Response:
        """Get an endpoint with query parameters."""
        return self.request("GET", path, params=params)

    def post(self, path: str, **body: object) -> httpx.Response:
        """Post a JSON object."""
        return self.request("POST", path, json=body)

    def queue(self, video_url: object = VIDEO, **body: object) -> httpx.Response:
        """Queue a video at the emulated model, unless the body says otherwise."""
        return self.post("video/queue", **{"model": MODEL, "video_url": video_url, **body})

    def queued(self, video_url: object = VIDEO, **body: object) -> str:
        """Queue a video and return its id."""
        answer = self.queue(video_url, **body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["queue_id"])

    def finished(self, video_url: object = VIDEO, **body: object) -> str:
        """Queue a video, let it finish, and return its id."""
        queue_id = self.queued(video_url, **body)
        self.until_done(queue_id)
        return queue_id

    def retrieve(self, queue_id: object, **body: object) -> httpx.Response:
        """Poll a job; the dialect `live` wants the model."""
        named = {"model": MODEL} if self.dialect == "live" else {}
        return self.post("video/retrieve", **{"queue_id": queue_id, **named, **body})

    def complete(self, queue_id: object, **body: object) -> httpx.Response:
        """Complete a job; the dialect `live` wants the model."""
        named = {"model": MODEL} if self.dialect == "live" else {}
        return self.post("video/complete", **{"queue_id": queue_id, **named, **body})

    def quote(self, **body: object) -> httpx.Response:
        """Ask for a quote of the emulated model."""
        return self.post("video/quote", **{"model": MODEL, **body})

    def download(self, url: str, method: str = "GET") -> httpx.Response:
        """Fetch a URL without a key."""
        with httpx.Client(transport=self.sim.transport()) as http:
            return http.request(method, url)

    def clip(self, name: str) -> str:
        """Return the address of a synthetic clip, such as `320x240_10fps_2s.mp4`."""
        return f"{HOST}/media/synthetic/{name}"

    def data_url(self, name: str, media_type: str = "video/mp4") -> str:
        """Return a synthetic clip as a data URL."""
        content = base64.b64encode(self.download(self.clip(name)).content).decode()
        return f"data:{media_type};base64,{content}"

    def advance(self, seconds: float) -> None:
        """Move the clock on."""
        sandbox = self.sandbox
        for _ in sandbox.advance(sandbox.run_due() + round(seconds * 1_000_000)):
            pass

    def until_done(self, queue_id: str) -> None:
        """Move the clock to the end of a job."""
        lasts = self.job(queue_id).accepted.phases[0].lasts
        assert lasts is not None
        self.advance(lasts / 1_000_000)

    def fail(
        self, queue_id: str, name: str | None = None, state: JobState = JobState.FAILED
    ) -> None:
        """End a job by command, with a failure of the catalogue or none."""
        failures = self.sandbox.bound("venice").failures
        self.sandbox.jobs.move(self.job(queue_id), state, failures[name] if name else None)

    def on_plan(self, plan: str) -> "Venice":
        """Put the account on another plan."""
        self.sandbox.accounts.set_plan(self.account, plan)
        return self


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """Return one simulator for all; each test makes a sandbox of its own in it."""
    with Simulator(clock="manual", seed=1) as sim:
        yield sim


@pytest.fixture
def make(simulator: Simulator) -> Iterator[Callable[..., Venice]]:
    """Return a function that makes a sandbox with these knobs, funds and so on."""
    made: list[str] = []

    def make_one(
        *,
        dialect: str = "",
        balance: str | None = None,
        scenario: str | None = None,
        strict_keys: bool = True,
        **knobs: str,
    ) -> Venice:
        funds = balance or ("100" if scenario is None else None)
        order = SandboxRequest(
            scenario=scenario,
            seed=1,
            clock="manual",
            knobs={"venice": knobs} if knobs else {},
            balances={"venice": Decimal(funds)} if funds is not None else {},
            strict_keys=strict_keys,
        )
        sandbox, keys = simulator.registry.create(order)
        made.append(sandbox.id)
        return Venice(simulator, sandbox, keys["venice"], dialect)

    yield make_one
    for name in made:
        simulator.registry.delete(name)


@pytest.fixture
def venice(make: Callable[..., Venice]) -> Venice:
    """Return Venice in its default dialect, with ample funds and no limits."""
    return make()


@pytest.fixture
def live(make: Callable[..., Venice]) -> Venice:
    """Return Venice as its API and SDKs are today."""
    return make(dialect="live")


@pytest.fixture
def make_from(
    make: Callable[..., Venice], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Venice]:
    """Return a function that makes a sandbox from the text of a scenario."""

    def from_text(text: str, **options: object) -> Venice:
        file = tmp_path_factory.mktemp("scenario") / "scenario.yaml"
        file.write_text(f"extends: venice/baseline\n{text}", "utf-8")
        return make(scenario=str(file), **options)

    return from_text
