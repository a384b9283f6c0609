"""The records of a sandbox: one for each request, shared by the readers and the command log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from upsim import Simulator
from upsim.core.states import JobState
from upsim.engine.client_activity import BATCH
from upsim.engine.records import MAX_BODY_KEPT

HOST = "http://127.0.0.1:4747"
SUBMIT = "/vicsee/api/v1/tools/upscale-video"
VIDEO = {"video_url": f"{HOST}/media/synthetic/320x240_30fps_2s.mp4"}


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """Return a simulator with a manual clock."""
    with Simulator(clock="manual", seed=1) as simulator:
        yield simulator


def post(sim: Simulator, path: str, body: dict[str, Any]) -> httpx.Response:
    """Send a request with a key."""
    with httpx.Client(transport=sim.transport(), base_url=HOST) as http:
        return http.post(path, json=body, headers={"Authorization": "Bearer a-key"})


def test_readers_share_one_record(sim: Simulator) -> None:
    """Journal and command log share the request and its response, with the bytes that were sent."""
    post(sim, SUBMIT, VIDEO)
    sent = post(sim, SUBMIT, VIDEO)
    _, record = sim.sandbox.records

    assert sim.sandbox.commands.entries[-1] is record.request
    assert (sent.content, 200, 2) == (record.reply, record.status, record.number)
    assert (SUBMIT, SUBMIT.removeprefix("/vicsee")) == (record.request.path, record.target)
    assert record.job == sent.json()["data"]["id"]


def test_long_bodies_are_kept_whole_only_for_the_export(sim: Simulator) -> None:
    """A record keeps the beginning and the size of a long body; the command log keeps all of it."""
    body = {"note": "x" * MAX_BODY_KEPT}
    post(sim, SUBMIT, body)
    (record,) = sim.sandbox.records
    logged: Any = sim.sandbox.commands.entries[-1]

    assert (MAX_BODY_KEPT, len(logged.body)) == (len(record.body), record.body_size)
    assert body == json.loads(logged.body)
    assert record.reply == logged.response.body


def test_a_record_comes_after_the_events_of_its_decision(sim: Simulator) -> None:
    """`version` counts the events before a record: those of its decision, none of a later one."""
    post(sim, SUBMIT, VIDEO)
    accepted = sim.sandbox.version
    post(sim, SUBMIT, {})

    assert [accepted, accepted] == [record.version for record in sim.sandbox.records]


def test_requests_wait_to_be_counted(sim: Simulator) -> None:
    """The report card counts requests when a batch is full, or when somebody reads the counters."""
    activity = sim.sandbox.activity
    for _ in range(BATCH - 1):
        post(sim, SUBMIT, VIDEO)

    assert {} == activity._tallies
    post(sim, SUBMIT, VIDEO)
    assert BATCH == len(activity._tallies)
    post(sim, SUBMIT, VIDEO)
    assert BATCH + 1 == len(activity.tallies)


def test_an_end_counts_for_later_requests_only(sim: Simulator) -> None:
    """A submit repeats an unfinished job, also if that job ends before the requests are counted."""
    jobs = [post(sim, SUBMIT, VIDEO).json()["data"]["id"] for _ in range(2)]
    for job in jobs:
        sim.sandbox.jobs.move(sim.sandbox.state.jobs[job], JobState.CANCELLED)
    jobs.append(post(sim, SUBMIT, VIDEO).json()["data"]["id"])
    tallies = sim.sandbox.activity.tallies

    assert [None, (jobs[0], 1), None] == [tallies[job].repeats for job in jobs]
