"""The line of an answer names the dialect that would serve a caller whom this one does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from upsim import Simulator
from upsim.cli.console import job_of, line_of
from upsim.engine.journal import Exchange
from upsim.engine.sandbox import Sandbox
from upsim.scenario.loader import Library
from upsim.web import hints
from upsim.web.hints import EVERY, PATIENCE, Hints

LIBRARY = Library()
MODEL = {"model": "topaz-video-upscale"}
VIDEO = {"video_url": "https://example.com/a.mp4"}
SERVES = "would serve it (knob"
BOTH = "/venice or /venice/guide"
Begin = Callable[..., tuple[Simulator, httpx.Client, list[str]]]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Return a function that starts a simulator, a client, and a list of the lines' hints."""
    with ExitStack() as stack:

        def start(provider: str = "venice", dialect: str = "") -> Any:  # noqa: ANN401 - a triple
            sim = stack.enter_context(Simulator(clock="manual"))
            lines: list[str] = []
            of = Hints()

            def told(sandbox: Sandbox, exchange: Exchange) -> None:
                job = job_of(sandbox, exchange)
                hint = of(sandbox, exchange, job)
                lines.append(line_of(sandbox, exchange, job, day="", hint=hint))

            sim.app.dispatch.observers.append(told)
            auth = LIBRARY.baseline(provider).baseline.auth
            headers = {auth.header: f"{auth.scheme} any".strip()}
            base = sim.base_url(provider, dialect)
            http = httpx.Client(transport=sim.transport(), base_url=base, headers=headers)
            return sim, stack.enter_context(http), lines

        yield start


def hint_of(line: str) -> str:
    """Return what a line says behind `hint:`."""
    return line.rstrip("\n").partition(" hint: ")[2]


@pytest.mark.parametrize(
    ("dialect", "path", "body", "hint"),
    [
        ("", "queue", {**MODEL, **VIDEO, "prompt": "x"}, f"/venice/live {SERVES} prompt: ignore)"),
        ("guide", "queue", {**MODEL, "prompt": "x"}, f"/venice/live {SERVES} prompt: ignore)"),
        ("live", "queue", {**MODEL, "extra": 1}, f"{BOTH} {SERVES} unknown_fields: ignore)"),
        ("live", "retrieve", {"queue_id": "x"}, f"{BOTH} {SERVES} model_on_poll: optional)"),
        ("", "queue", VIDEO, ""),
        ("", "queue", {**MODEL, **VIDEO, "upscale_factor": 3}, ""),
    ],
)
def test_a_refusal_names_the_dialect_that_would_serve(
    begin: Begin, dialect: str, path: str, body: dict[str, object], hint: str
) -> None:
    """By a rule that a dialect decides on; every dialect refuses the others."""
    _, http, lines = begin(dialect=dialect)
    assert http.post(f"/api/v1/video/{path}", json=body).status_code == 400

    assert hint == hint_of(lines[-1])


def test_a_finished_job_that_is_polled_again_and_again(begin: Begin) -> None:
    """The fourth poll of it, and then each twentieth, says who is served where."""
    sim, http, lines = begin()
    job = http.post("/api/v1/video/queue", json={**MODEL, **VIDEO}).json()["queue_id"]
    for _ in range(PATIENCE):
        http.post("/api/v1/video/retrieve", json={"queue_id": job})
    sim.advance(1000)
    lines.clear()
    for _ in range(EVERY):
        http.post("/api/v1/video/retrieve", json={"queue_id": job})
    said = [number for number, line in enumerate(lines, 1) if hint_of(line)]

    assert [PATIENCE, EVERY] == said
    assert hint_of(lines[PATIENCE - 1]).startswith(
        "this finished job was polled 4 times: a client that names the model and reads JSON is"
        " served by /venice/guide"
    )


def test_other_calls_of_a_finished_job_are_no_polls(begin: Begin) -> None:
    """Completing a job again and again, or a provider without hints, says nothing."""
    sim, http, lines = begin()
    job = http.post("/api/v1/video/queue", json={**MODEL, **VIDEO}).json()["queue_id"]
    sim.advance(1000)
    for _ in range(EVERY):
        http.post("/api/v1/video/complete", json={"queue_id": job})
    other, client, more = begin("wavespeed")
    made = client.post("/api/v3/runwayml/upscale-v1", json={"video": VIDEO["video_url"]}).json()
    other.advance(5000)
    for _ in range(EVERY):
        client.get(f"/api/v3/predictions/{made['data']['id']}/result")

    assert (EVERY + 1, EVERY + 1) == (len(lines), len(more))
    assert [] == [line for line in (*lines, *more) if hint_of(line)]


def test_counts_are_bounded(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The polls of the oldest job are forgotten when there are too many jobs."""
    monkeypatch.setattr(hints, "KEPT", 1)
    sim, http, lines = begin()
    body = {**MODEL, **VIDEO}
    jobs = [http.post("/api/v1/video/queue", json=body).json()["queue_id"] for _ in range(2)]
    sim.advance(1000)
    for _ in range(PATIENCE):
        for job in jobs:
            http.post("/api/v1/video/retrieve", json={"queue_id": job})

    assert [] == [line for line in lines if hint_of(line)]


@pytest.mark.parametrize("provider", LIBRARY.providers())
def test_hints_speak_of_what_there_is(provider: str) -> None:
    """Checks, knobs, their values, and dialects are the provider's own."""
    baseline = LIBRARY.baseline(provider).baseline
    fact = baseline.facts.get("hints")
    told: Any = fact.value if fact else {"refusals": {}, "finished": {}}
    checks = {name for names in baseline.checks.values() for name in names}
    values = [pair for wanted in told["refusals"].values() for pair in wanted.items()]

    assert told["refusals"].keys() <= checks
    assert all(value in baseline.knobs[name].values for name, value in values)
    assert set(told["finished"]) in (set(), set(baseline.dialects))
