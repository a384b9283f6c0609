"""Every shipped scenario keeps its promise at the defaults of `serve`: a real clock, pace 30.

The wall clock is the test's own: whoever asks how long to wait is told that the time has passed.
What a scenario promises is read from its content: each fault fires, each job takes the steps that
its rule gives, and the first submit is answered as the table of scenarios says.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tests.http.conftest import SAMPLES, Sample
from tests.http.test_scenarios import LIBRARY, STEPS
from tests.http.webhooks.conftest import HOOK, SECRET, Receiver
from upsim import Simulator
from upsim.core.instants import SECOND
from upsim.core.jobs import Job
from upsim.core.states import JobState
from upsim.engine import clock
from upsim.engine.clock import Clock
from upsim.engine.settings import ServerSettings
from upsim.scenario.model import Scenario

VIDEO = "https://example.com/clip.mp4"
PACE = ServerSettings().pace
MOST_POLLS = 200
POLLS_AFTER = 5
"""Polls of a job that has ended."""
LOST = (httpx.TransportError, httpx.DecodingError)


class Wall:
    """A wall clock that stands until it is told to go on."""

    def __init__(self) -> None:
        """Begin now."""
        self.at = time.time_ns() // 1000

    def time_ns(self) -> int:
        """As `time.time_ns`."""
        return self.at * 1000

    def pass_until(self, instant: int) -> float:
        """The time that somebody has to wait has passed."""
        self.at = max(self.at, instant)
        return 0.0


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    """Return the wall clock of all sandboxes."""
    made = Wall()
    fake = SimpleNamespace(time_ns=made.time_ns, monotonic=time.monotonic)
    monkeypatch.setattr(clock, "time", fake)
    monkeypatch.setattr(Clock, "real_seconds_until", lambda _clock, at: made.pass_until(at))
    return made


@dataclass(slots=True)
class Caller:
    """A client of one provider in a server as `serve` starts it."""

    sim: Simulator
    http: httpx.Client
    sample: Sample
    wall: Wall
    every: float
    live: bool

    def attempt(self, call: Callable[[], httpx.Response]) -> httpx.Response | None:
        """What a call is answered; None where the connection was lost."""
        try:
            return call()
        except LOST:
            return None

    def poll(self, job: str) -> httpx.Response:
        """Ask how a job is; Venice's `live` wants the model."""
        if not (self.live and self.sample.provider == "venice"):
            return self.sample.status(self.http, job)
        body = {"model": self.sample.model, "queue_id": job}
        return self.http.post(self.sample.poll.path, json=body)

    def wait(self, seconds: float) -> None:
        """Let time pass, and what is due happen."""
        self.wall.at += round(seconds * SECOND)
        self.sim.sandbox.run_due()


Begin = Callable[[str, str], Caller]


@pytest.fixture
def begin(wall: Wall) -> Iterator[Begin]:
    """Return a function that starts a server in a scenario, and a client that names a dialect."""
    with ExitStack() as stack:

        def start(name: str, dialect: str) -> Caller:
            provider = name.partition("/")[0]
            sim = Simulator(name, clock="real", seed=1, webhook_transport=Receiver())
            stack.enter_context(sim)
            sim.sandbox.clock.change_pace(PACE)
            auth = LIBRARY.baseline(provider).baseline.auth
            http = httpx.Client(
                transport=sim.transport(),
                base_url=sim.base_url(provider, dialect),
                headers={auth.header: f"{auth.scheme} any".strip()},
            )
            stack.enter_context(http)
            every = _cadence(provider)
            return Caller(sim, http, _sample(provider), wall, every, live=dialect == "live")

        yield start


def _sample(provider: str) -> Sample:
    """The sample of a provider; with a webhook where there are any."""
    sample = next(s for s in SAMPLES.values() if s.provider == provider)
    if provider == "wavespeed":
        return replace(sample, path=f"{sample.path}?webhook={HOOK}")
    if provider == "piapi":
        config = {"webhook_config": {"endpoint": HOOK, "secret": SECRET}}
        return replace(sample, body={**sample.body, "config": config})
    return sample


def _cadence(provider: str) -> float:
    """The seconds between two polls that the provider advises."""
    polling = LIBRARY.baseline(provider).baseline.polling
    assert polling is not None
    return polling.every / SECOND


def _cases() -> Iterator[Any]:
    """Each scenario in one dialect, the next scenario in the next one; the rest at night."""
    for number, name in enumerate(LIBRARY.names()):
        dialects = LIBRARY.baseline(name.partition("/")[0]).baseline.dialects
        for place, dialect in enumerate(dialects):
            marks = () if place == number % len(dialects) else pytest.mark.nightly
            yield pytest.param(name, dialect, id=f"{name}-{dialect}", marks=marks)


@pytest.mark.parametrize(("name", "dialect"), [*_cases()])
def test_a_scenario_keeps_its_promise(begin: Begin, name: str, dialect: str) -> None:
    """At the defaults of `serve`, a scenario's faults fire, and its jobs follow its rules."""
    caller, scenario = begin(name, dialect), LIBRARY.load(name)
    sandbox = caller.sim.sandbox
    for change in (None, *scenario.changes):
        if change is not None:
            caller.wait(change.after / SECOND)
            for job in [*sandbox.state.jobs]:
                caller.attempt(partial(caller.poll, job))
        for inputs in _asked(name, change.scenario if change else scenario):
            for _ in range(3):
                _one_job(caller, dict(inputs))
    armed = sandbox.state.faults.values()
    plans = [[phase.state for phase in job.accepted.phases] for job in sandbox.state.jobs.values()]

    assert [fault.rule.id for fault in armed if not fault.fired] == []
    assert [job.id for job in sandbox.state.jobs.values() if not _went_on(job)] == []
    for rule in scenario.jobs:
        assert [phase.state for phase in rule.phases] in plans


@pytest.mark.parametrize(
    "name", [name for name in LIBRARY.names() if "/insufficient-funds" in name]
)
def test_the_printed_example_meets_insufficient_funds(name: str) -> None:
    """In this scenario, the example that `serve` prints is refused, or its job fails unpaid."""
    provider = name.partition("/")[0]
    with Simulator(name, clock="manual") as sim, httpx.Client(transport=sim.transport()) as http:
        base = sim.base_url(provider).rstrip("/")
        media = f"{sim.base_url('').rstrip('/')}/media"
        example = str(LIBRARY.baseline(provider).baseline.facts["example"].value).replace(
            "\\\n", ""
        )
        _, url, *options = shlex.split(example.replace("{base}", base).replace("{media}", media))
        given = list(zip(options[::2], options[1::2], strict=True))
        (body,) = (value for option, value in given if option == "-d")
        headers = dict(value.split(": ", 1) for option, value in given if option == "-H")
        answer = http.post(url, content=body, headers=headers)
        sim.advance(20000)
        box = sim.app.registry.default
        states = [job.state for job in box.state.jobs.values()]

    funds_end_the_job = LIBRARY.load(name).knobs.get("funds_refusal") == "task"
    assert states == ([JobState.FAILED] if funds_end_the_job else [])
    assert answer.status_code in ((200,) if funds_end_the_job else (400, 402)), answer.text
    entries = [one for account in box.state.accounts.values() for one in account.entries.values()]
    assert {0} >= {entry.amount for entry in entries}


def _asked(name: str, scenario: Scenario) -> Iterator[Mapping[str, object]]:
    """The inputs of submits to which the rules of a scenario speak, and those of its table."""
    steps = [step for step in STEPS.get(name, ()) if isinstance(step.get("submit"), Mapping)]
    yield steps[0]["submit"] if steps else {}
    for when in (*(r.when for r in scenario.jobs), *(r.when for r in scenario.faults)):
        if when:
            yield {path.rpartition(".")[2]: value for path, value in when}


def _one_job(caller: Caller, inputs: dict[str, object]) -> None:
    """Submit once, follow the job for as long as any lasts, and fetch its file."""
    sample, http = caller.sample, caller.http
    video = str(inputs.pop(sample.video_at[-1], VIDEO))
    before = set(caller.sim.sandbox.state.jobs)
    caller.attempt(lambda: sample.submit(http, video, **inputs))
    for job in set(caller.sim.sandbox.state.jobs) - before:
        over = 0
        for _ in range(MOST_POLLS):
            caller.attempt(partial(caller.poll, job))
            caller.wait(caller.every)
            found = caller.sim.sandbox.state.jobs.get(job)
            over += found is None or found.ended
            if over == POLLS_AFTER:
                break
        url = f"http://upsim.test/media/outputs/{job}.mp4"
        caller.attempt(partial(http.get, url))


def _went_on(job: Job) -> bool:
    """Whether a job went through all its steps, up to the first that only a command ends."""
    plan = job.accepted.phases
    alone = takewhile(lambda step: step.lasts is not None or step.polls is not None, plan)
    expected = [step.state for step in plan[: len([*alone]) + 1]]
    return expected == [plan[0].state, *(move.state for move in job.moves)]


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("sync-mode-timeout", (200, 5004)),
        ("sync-mode-gateway-timeout", (504, None)),
        ("sync-mode-in-time", (200, None)),
    ],
)
@pytest.mark.parametrize("dialect", ["guide", "live"])
def test_the_limit_of_a_held_request_is_divided_by_the_pace(
    begin: Begin, wall: Wall, dialect: str, name: str, answer: tuple[int, int | None]
) -> None:
    """At pace 30, the limit of 90 seconds is 3 seconds, and a longer job reaches it."""
    caller = begin(f"wavespeed/{name}", dialect)
    began = wall.at
    found = caller.sample.submit(caller.http, VIDEO, enable_sync_mode=True)
    code = found.json()["data"].get("code") if found.status_code == 200 else None

    assert (answer, wall.at - began <= 3 * SECOND) == ((found.status_code, code), True)


@pytest.mark.parametrize("dialect", ["auto", "guide", "live"])
def test_an_announced_time_is_divided_by_the_pace(begin: Begin, dialect: str) -> None:
    """Venice announces the average duration that jobs have at this pace."""
    caller = begin("venice/baseline", dialect)
    job = str(caller.sample.submit(caller.http, VIDEO).json()["queue_id"])

    assert 145_000 // PACE == caller.poll(job).json()["average_execution_time"]


def test_a_task_that_is_stuck_in_the_queue_can_be_cancelled(begin: Begin) -> None:
    """In this scenario, a PiAPI task waits long enough to be cancelled."""
    for name, status in (("piapi/stuck-in-queue", 200), ("piapi/baseline", 400)):
        caller = begin(name, "")
        job = caller.sample.job(caller.http, VIDEO)
        caller.wait(caller.every)

        assert status == caller.http.delete(f"/api/v1/task/{job}").status_code
