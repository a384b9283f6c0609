"""The line of an answer: time, job, refusal, and nothing that a terminal would obey."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import httpx
import pytest

from upsim import Simulator
from upsim.app import IN_PROCESS_HOST
from upsim.cli.request_log import (
    MAX_TEXT_LENGTH,
    job_of,
    line_of,
    message_in,
    printable,
    today,
    unmatched_line,
)

KEY = {"Authorization": "Bearer sk-any"}
SUBMIT = "/api/v1/tools/upscale-video"
BODY = {"video_url": "https://clips.example/a.mp4"}
Lines = Callable[..., list[str]]


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """Return a simulator whose clock moves when told."""
    with Simulator(clock="manual") as simulator:
        yield simulator


@pytest.fixture
def lines(sim: Simulator) -> list[str]:
    """Return the list to which every answer of the simulator adds its line."""
    found: list[str] = []
    sim.app.dispatch.observers.append(
        lambda sandbox, exchange: found.append(
            line_of(sandbox, exchange, job_of(sandbox, exchange), day=today())
        )
    )
    return found


def client(sim: Simulator, dialect: str = "") -> httpx.Client:
    """Return a client of one provider."""
    base = sim.base_url("vicsee", dialect)
    return httpx.Client(transport=sim.transport(), base_url=base, headers=KEY)


def submit(sim: Simulator) -> str:
    """Submit a job and return its id."""
    found: str = client(sim).post(SUBMIT, json=BODY).json()["data"]["id"]
    return found


def test_virtual_time_has_its_date(sim: Simulator, lines: list[str]) -> None:
    """With a virtual clock, a request log line has the whole date and time."""
    client(sim).get("/api/v1/models")

    assert ["2026-01-01T00:00:00.000Z vicsee GET /api/v1/models 200\n"] == lines


@pytest.mark.parametrize(("day", "date"), [(None, False), ("2020-02-02", True)])
def test_wall_time_of_another_day_has_its_date(day: str | None, *, date: bool) -> None:
    """With the wall clock, a log line omits the date if the reader already knows the day."""
    with Simulator(clock="real") as sim:
        client(sim).get("/api/v1/models")
        exchange = next(iter(sim.sandbox.records))
        line = line_of(sim.sandbox, exchange, None, day=day or today())

    assert date == line.startswith(today())


def test_poll_shows_the_state(sim: Simulator, lines: list[str]) -> None:
    """The log line of a poll shows the current state of the job."""
    job = submit(sim)
    sim.advance(1000)
    client(sim).get(f"/api/v1/tasks/{job}")

    assert lines[-1].endswith(f" 200 job {job} completed\n")


def test_poll_of_a_failed_job_shows_why(sim: Simulator, lines: list[str]) -> None:
    """The log line of a failed job's poll shows the state and the name of the failure."""
    job = submit(sim)
    body = {"state": "failed", "error": "generation_failed"}
    with httpx.Client(transport=sim.transport(), base_url="http://127.0.0.1:4747") as http:
        http.put(f"/__sim/sandboxes/default/jobs/{job}/state", json=body)
    client(sim).get(f"/api/v1/tasks/{job}")

    assert lines[-1].endswith(f" job {job} failed: generation_failed\n")


def test_assumed_media_are_shown(sim: Simulator, lines: list[str]) -> None:
    """The log line names the assumed properties of a video, and the option to fetch it."""
    submit(sim)

    expected = " media assumed: 854x480, 30 fps, 8.5 s (not fetched; see --fetch)\n"
    assert lines[-1].endswith(expected)


def test_refusal_has_the_providers_text(sim: Simulator, lines: list[str]) -> None:
    """The log line of a refusal shows the rule's name and the text of the response."""
    client(sim).post(SUBMIT, json={})

    assert " 400 refused: missing_video: video_url not provided (documented: " in lines[-1]


CLIP = f"{IN_PROCESS_HOST}/media/synthetic/64x48_25fps_2.5s.mp4"
NEAREST = "seconds 2.5 are no whole number of frames at 25 fps; nearest: 2.48 (62 frames)"


def test_a_refused_clip_shows_the_reason(sim: Simulator, lines: list[str]) -> None:
    """The log line of a refused submit ends with the problem of the video URL."""
    client(sim).post(SUBMIT, json={"video_url": CLIP})

    found = f'video: the URL "{CLIP}": {NEAREST} or 2.52 (63 frames)'
    assert f"[measurable: {found}]\n" in lines[0]


def test_a_job_that_will_fail_shows_the_reason(sim: Simulator, lines: list[str]) -> None:
    """The log line of a submit with an unavailable video ends with the reason."""
    base = sim.base_url("wavespeed")
    wavespeed = httpx.Client(transport=sim.transport(), base_url=base, headers=KEY)
    wavespeed.post("/api/v3/runwayml/upscale-v1", json={"video": CLIP})

    cause = re.escape(f'[video: the URL "{CLIP}": {NEAREST} or')
    assert re.search(rf" 200 job \w+ waiting {cause}", lines[0])


@pytest.mark.parametrize(("dialect", "shown"), [("", "vicsee"), ("live", "vicsee/live")])
def test_dialect_is_shown_when_it_is_not_the_default(
    sim: Simulator, lines: list[str], dialect: str, shown: str
) -> None:
    """A log line names the dialect only if it is not the default dialect."""
    client(sim, dialect).get("/api/v1/models")

    assert f" {shown} GET " in lines[-1]


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (b'{"message": "plain"}', "plain"),
        (b'{"error": {"message": "inner"}}', "inner"),
        (b'{"error": "short"}', "short"),
        (b'{"detail": "of another kind"}', "of another kind"),
        (b'{"error": {"code": 1}}', ""),
        (b'{"message": ""}', ""),
        (b"[1]", ""),
        (b"404 page not found", ""),
        (b"\xff", ""),
        (b"[" * 100_000, ""),
        (b"", ""),
        (
            b'{"error": "Invalid", "issues": [{"path": ["a", 0], "message": "Required"}, 1]}',
            "Invalid [a.0: Required]",
        ),
        (
            b'{"error": "Invalid", "issues": [{"path": [], "message": "An array"}]}',
            "Invalid [An array]",
        ),
        (b'{"error": "No x", "issues": [{"path": ["x"], "message": "No x"}]}', "No x"),
        (b'{"error": "No", "issues": [{"path": null, "message": ""}, {"path": ["url"]}]}', "No"),
    ],
)
def test_message_of_a_response(reply: bytes, message: str) -> None:
    """The log finds an error message in the usual places of a response, or shows none."""
    assert message == message_in(reply)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/plain path/ü", "/plain path/ü"),
        ("a\nb\r\tc", r"a\u000ab\u000d\u0009c"),
        ("\x1b[31m", r"\u001b[31m"),
        ("\u202e\u2028", r"\u202e\u2028"),
        ("\ud800", r"\ud800"),
        ("x" * (MAX_TEXT_LENGTH + 1), "x" * MAX_TEXT_LENGTH + "…"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    """Terminal control characters are printed as escapes, and long texts are cut."""
    assert shown == printable(text)


def test_stray_line_is_one_line() -> None:
    """The log line for a path without a provider stays one line."""
    assert 1 == unmatched_line("GET", "/a\nb", 404, "no\nsuch").count("\n")
