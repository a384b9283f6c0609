"""The line of an answer names the dialect that would serve a caller whom this one does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from upsim import Simulator
from upsim.cli.request_log import job_of, line_of
from upsim.core.states import JobState
from upsim.engine import dialect_hints
from upsim.engine.dialect_hints import PATIENCE
from upsim.engine.request_records import Record
from upsim.engine.sandbox import Sandbox
from upsim.scenario.loader import Library

LIBRARY = Library()
MODEL = {"model": "topaz-video-upscale"}
VIDEO = {"video_url": "https://example.com/a.mp4"}
REFUSES = "not refuse this (knob"
LIVE = f"/venice/live does {REFUSES} prompt: ignore)"
BOTH = f"/venice and /venice/guide do {REFUSES}"
Begin = Callable[..., tuple[Simulator, httpx.Client, list[str]]]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Return a function that starts a simulator, a client, and a list of the lines' hints."""
    with ExitStack() as stack:

        def start(
            provider: str = "venice",
            dialect: str = "",
            key: str = "any",
            sim: Simulator | None = None,
        ) -> Any:  # noqa: ANN401 - a triple
            sim = sim or stack.enter_context(Simulator(clock="manual"))
            lines: list[str] = []

            def told(sandbox: Sandbox, exchange: Record) -> None:
                job = job_of(sandbox, exchange)
                lines.append(line_of(sandbox, exchange, job, day=""))

            sim.app.dispatch.observers.append(told)
            auth = LIBRARY.baseline(provider).baseline.auth
            headers = {auth.header: f"{auth.scheme} {key}".strip()}
            base = sim.base_url(provider, dialect)
            http = httpx.Client(transport=sim.transport(), base_url=base, headers=headers)
            return sim, stack.enter_context(http), lines

        yield start


def hint_of(line: str) -> str:
    """Return what a line says behind `hint:`."""
    return line.rstrip("\n").partition(" hint: ")[2]


DIALECTS = ("auto", "guide", "live")
QUEUE: list[dict[str, object]] = [
    {**MODEL, **VIDEO, **more}
    for more in (
        {},
        {"prompt": "x"},
        {"prompt": None},
        {"prompt": "x", "duration": "Auto"},
        {"prompt": "x", "extra": 1},
        {"duration": "Auto"},
        {"duration": 7},
        {"upscale_facto": 2},
        {"resolution": "2x"},
        {"resolution": "2x", "prompt": "x"},
        {"upscale_factor": 3},
        {"video_url": "file:///a.mp4"},
    )
]
QUOTE: list[dict[str, object]] = [
    {**MODEL, **more}
    for more in (
        {"duration": 10},
        {"duration": "auto"},
        {"duration": 10, "resolution": "2x"},
        {**VIDEO, "resolution": "2x"},
        {**VIDEO, "resolution": "720p"},
        {**VIDEO, "prompt": "x"},
        {},
    )
]
POLL: list[dict[str, object]] = [{}, {**MODEL}, {"model": 3}, {"delete_media": True}]


def test_a_hint_names_each_dialect_that_accepts(begin: Begin) -> None:
    """The hint of a refused request names exactly the dialects that accept the request."""
    sim, http, _ = begin()
    sandbox, key = sim.app.registry.sandboxes["default"], {"Authorization": "Bearer any"}
    named, wrong = 0, []
    for path, bodies in {
        "queue": QUEUE,
        "quote": QUOTE,
        "retrieve": POLL,
        "complete": POLL,
    }.items():
        for body in bodies:
            sent = dict(body)
            if path in ("retrieve", "complete") and "queue_id" not in sent:
                made = http.post("/api/v1/video/queue", json={**MODEL, **VIDEO}).json()
                sent["queue_id"] = made["queue_id"]
            seen = {}
            for dialect in DIALECTS:
                url = f"{sim.base_url('venice', dialect)}/api/v1/video/{path}"
                reply = http.post(url, json=sent, headers=key)
                seen[dialect] = (reply.status_code, [*sandbox.records][-1].hint)
            for dialect, (status, hint) in seen.items():
                takes = [one for one in DIALECTS if seen[one][0] < 300] if status >= 400 else []
                expected = ["/venice" if one == "auto" else f"/venice/{one}" for one in takes]
                words = hint.partition(" do")[0].split(" and ") if hint else []
                named += bool(words)
                if words != expected:
                    wrong.append((path, sent, dialect, status, hint))

    assert [] == wrong
    assert named == 14


MP4, JSON, UPPER, LOWER = "the MP4 itself", "JSON with a url", "COMPLETED", "completed"
NAMES_NO_MODEL: dict[str, str] = {}
ENDINGS: list[tuple[str, str, dict[str, str], set[str]]] = [
    ("venice", "auto", NAMES_NO_MODEL, {MP4, UPPER}),
    ("venice", "auto", MODEL, {JSON, UPPER, LOWER}),
    ("venice", "guide", NAMES_NO_MODEL, {MP4, UPPER}),
    ("venice", "guide", MODEL, {MP4, UPPER}),
    ("venice", "live", MODEL, {JSON, UPPER, LOWER}),
    ("vicsee", "", {}, {"success"}),
    ("piapi", "live", {}, {"Completed"}),
]
MAKES = {
    "venice": ("/api/v1/video/queue", {**MODEL, **VIDEO}, "queue_id"),
    "vicsee": ("/api/v1/tools/upscale-video", {**VIDEO, "upscale_factor": "2"}, "data.id"),
    "piapi": (
        "/api/v1/task",
        {
            "model": "Qubico/video-toolkit",
            "task_type": "upscale",
            "input": {"video": VIDEO["video_url"]},
        },
        "data.task_id",
    ),
    "wavespeed": ("/api/v3/runwayml/upscale-v1", {"video": VIDEO["video_url"]}, "data.id"),
}
POLLS = {
    "vicsee": "/api/v1/tasks/{}",
    "piapi": "/api/v1/task/{}",
    "wavespeed": "/api/v3/predictions/{}/result",
}


def poll_of(http: httpx.Client, base: str, provider: str, more: dict[str, str]) -> Any:  # noqa: ANN401
    """Return a function that makes a job and one that polls it with further fields."""
    path, body, place = MAKES[provider]
    found: Any = http.post(base + path, json=body).json()
    for part in place.split("."):
        found = found.get(part, found) if part == "data" else found[part]

    def ask(base: str) -> httpx.Response:
        if provider == "venice":
            return http.post(f"{base}/api/v1/video/retrieve", json={"queue_id": found, **more})
        return http.get(base + POLLS[provider].format(found))

    return ask


def ending_of(answer: httpx.Response) -> set[str]:
    """Return which endings that clients wait for an answer shows."""
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"] == "video/mp4":
        return {MP4}
    text = answer.text
    words = {one for one in (UPPER, LOWER, "success", "Completed") if f'"status":"{one}"' in text}
    return words | ({JSON} if '"url":"http' in text else set())


@pytest.mark.parametrize(("provider", "dialect", "more", "endings"), ENDINGS)
def test_each_hint_of_a_poll_works(
    begin: Begin, provider: str, dialect: str, more: dict[str, str], endings: set[str]
) -> None:
    """From the fourth poll on, each named dialect, knob and scenario does what the hint says."""
    sim, http, lines = begin(provider, dialect)
    polled = poll_of(http, "", provider, more)
    polled("")
    sim.advance(20000)
    lines.clear()
    for _ in range(PATIENCE + 2):
        shown = ending_of(polled(""))
    said = [hint_of(line) for line in lines]
    why = [one.hint for one in sim.app.registry.sandboxes["default"].records][-len(said) :]
    ways = [part.partition(" needs ") for part in said[-1].split("; a client that waits for ")[1:]]

    assert said == why
    assert [""] * (PATIENCE - 1) == said[: PATIENCE - 1]
    assert [f"polled {count} times;" in said[count - 1] for count in (4, 5, 6)] == [True] * 3
    assert endings == {wants for wants, _, _ in ways}
    assert not endings & shown
    for wants, _, remedies in ways:
        for way in remedies.split(" or "):
            assert wants in tried(sim, http, provider, way, more, polled), way


def word_of(answer: httpx.Response) -> str:
    """Return the status word in a response; empty if the response is a file."""
    found = answer.json() if "json" in answer.headers["content-type"] else {}
    word: str = found.get("data", found).get("status", "")
    return word


FINISHED_KNOBS = {
    "piapi": {"status_case"},
    "venice": {"completed_status"},
    "vicsee": {"completed_status"},
}
"""The knobs that change a provider's word for `completed`."""


@pytest.mark.parametrize("provider", LIBRARY.providers())
def test_each_knob_of_the_finished_word_has_a_hint(begin: Begin, provider: str) -> None:
    """If a knob changes the word for `completed`, the hint offers the usual word.

    The log line shows the word that was sent.
    """
    sim, _, lines = begin(provider)
    admin = httpx.Client(transport=sim.transport(), base_url="http://localhost/__sim")
    baseline = LIBRARY.baseline(provider).baseline
    usual = str(baseline.statuses[JobState.COMPLETED].value)
    knobs = [(name, value) for name, knob in baseline.knobs.items() for value in knob.values]
    changed = set()
    for name, value in knobs:
        box = admin.post("/sandboxes", json={"knobs": {provider: {name: value}}}).json()
        _, http, _ = begin(provider, "guide", sim=sim, key=box["keys"][provider])
        polled = poll_of(http, "", provider, {})
        admin.post(f"/sandboxes/{box['id']}/clock/advance", json={"seconds": 20000})
        words = [word_of(polled("")) for _ in range(PATIENCE)]
        hint = hint_of(lines[-1])
        if words[-1] == usual:
            assert f"waits for {usual} " not in hint, (name, value)
        elif words[-1]:
            changed.add(name)
            other = next(one for one in baseline.knobs[name].values if one != value)
            wanted = f"; a client that waits for {usual} needs knob {name}: {other}"
            assert f"polled {PATIENCE} times" in hint
            assert wanted in hint
            assert f" {words[-1]} hint: " in lines[-1]
    assert FINISHED_KNOBS.get(provider, set()) == changed


def tried(
    sim: Simulator,
    http: httpx.Client,
    provider: str,
    way: str,
    more: dict[str, str],
    polled: Callable[[str], httpx.Response],
) -> set[str]:
    """Return what a poll shows when a way of the hint is taken."""
    if way.startswith("/"):
        return ending_of(polled(sim.base_url("").rstrip("/") + way))
    dialect = str(http.base_url).rstrip("/").partition(f"/{provider}")[2].strip("/")
    if way.startswith("the scenario "):
        order: dict[str, object] = {"scenario": way.removeprefix("the scenario ")}
    else:
        knobs = dict(one.split(": ") for one in way.partition(" ")[2].split(", "))
        order = {"knobs": {provider: knobs}}
    admin = httpx.Client(transport=sim.transport(), base_url="http://localhost/__sim")
    box = admin.post("/sandboxes", json=order).json()
    auth = LIBRARY.baseline(provider).baseline.auth
    headers = {auth.header: f"{auth.scheme} {box['keys'][provider]}".strip()}
    base = sim.base_url(provider, dialect).rstrip("/")
    with httpx.Client(transport=sim.transport(), headers=headers) as client:
        ask = poll_of(client, base, provider, more)
        ask(base)
        admin.post(f"/sandboxes/{box['id']}/clock/advance", json={"seconds": 20000})
        return ending_of(ask(base))


def test_other_requests_of_a_finished_job_give_no_hint(begin: Begin) -> None:
    """Repeated completions, or a provider without hints, give no hint."""
    sim, http, lines = begin()
    job = http.post("/api/v1/video/queue", json={**MODEL, **VIDEO}).json()["queue_id"]
    sim.advance(1000)
    for _ in range(PATIENCE):
        http.post("/api/v1/video/complete", json={"queue_id": job})
    other, client, more = begin("wavespeed")
    made = client.post("/api/v3/runwayml/upscale-v1", json={"video": VIDEO["video_url"]}).json()
    other.advance(5000)
    for _ in range(PATIENCE):
        client.get(f"/api/v3/predictions/{made['data']['id']}/result")

    assert (PATIENCE + 1, PATIENCE + 1) == (len(lines), len(more))
    assert [] == [line for line in (*lines, *more) if hint_of(line)]


def test_counts_are_bounded(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The polls of the oldest job are forgotten if there are too many jobs."""
    monkeypatch.setattr(dialect_hints, "KEPT", 1)
    sim, http, lines = begin()
    body = {**MODEL, **VIDEO}
    jobs = [http.post("/api/v1/video/queue", json=body).json()["queue_id"] for _ in range(2)]
    sim.advance(1000)
    for _ in range(PATIENCE):
        for job in jobs:
            http.post("/api/v1/video/retrieve", json={"queue_id": job})

    assert [] == [line for line in lines if hint_of(line)]


def test_a_hint_is_in_journal_and_log_and_respects_the_settings(begin: Begin) -> None:
    """`why.hint` equals the log line's; the path names a dialect where `/venice` is another.

    A knob that is set by itself applies in every dialect, so no dialect would help.
    """
    sim, _, _ = begin()
    admin = httpx.Client(transport=sim.transport(), base_url="http://localhost/__sim")
    knobs = {"venice": {"unknown_fields": "refuse"}}
    box = admin.post("/sandboxes", json={"knobs": knobs}).json()
    other = admin.post("/sandboxes", json={"dialects": {"venice": "live"}}).json()
    _, http, lines = begin(sim=sim, key=box["keys"]["venice"])
    http.post("/api/v1/video/queue", json={**MODEL, **VIDEO, "prompt": "x"})
    http.post("/api/v1/video/queue", json={**MODEL, **VIDEO, "upscale_facto": 2})
    exchanges = admin.get(f"/sandboxes/{box['id']}/journal").json()["exchanges"]
    _, client, live = begin(sim=sim, key=other["keys"]["venice"])
    client.post("/api/v1/video/queue", json={**MODEL, **VIDEO, "upscale_facto": 2})

    assert [LIVE, None] == [one["why"]["hint"] for one in exchanges]
    assert [LIVE, ""] == [hint_of(line) for line in lines[:2]]
    assert (
        '"upscale_facto": found a field that is not known; did you mean upscale_factor?' in live[0]
    )
    assert hint_of(live[0]).startswith("/venice/auto and /venice/guide do not refuse this")


@pytest.mark.parametrize("provider", LIBRARY.providers())
def test_hints_name_only_existing_things(provider: str) -> None:
    """Checks, knobs, values and dialects in hints are the provider's own."""
    baseline = LIBRARY.baseline(provider).baseline
    fact = baseline.facts.get("hints")
    told: Any = fact.value if fact else {"refusals": {}, "finished": {}}
    checks = {name for names in baseline.checks.values() for name in names}
    endings = [*told["finished"].get("answered", {}).values()]
    endings += [one["knobs"] for one in told["finished"].get("endings", ())]

    assert told["refusals"].keys() <= checks
    assert set(told["refusals"].values()) <= baseline.knobs.keys()
    assert [] == [
        (name, value)
        for knobs in endings
        for name, value in knobs.items()
        if value not in baseline.knobs[name].values
    ]


def test_hint_of_an_unknown_knob_is_left_out(tmp_path: Path) -> None:
    """A scenario whose hints name an unknown knob breaks no response."""
    file = tmp_path / "hints.yaml"
    file.write_text(
        "{extends: venice/baseline, facts: {hints: {value: {refusals: {no_prompt: promptx}}}}}"
    )
    with Simulator(scenario=str(file)) as sim, httpx.Client(transport=sim.transport()) as http:
        answer = http.post(
            f"{sim.base_url('venice')}/api/v1/video/queue",
            headers={"authorization": "Bearer any"},
            json={**MODEL, **VIDEO, "prompt": "sharper"},
        )

    assert answer.status_code == 400
