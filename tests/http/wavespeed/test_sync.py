"""Sync mode: the submit is held until the task ends, or until the server's wait runs out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from upsim.core.instants import SECOND

if TYPE_CHECKING:
    from tests.http.wavespeed.conftest import Start

UPSCALER = "wavespeed-ai/video-upscaler"
VIDEO = "https://clips.example/a.mp4"
LATE = "Sync mode timed out after 90 seconds. The prediction is still processing asynchronously."


def test_a_sync_submit_returns_the_finished_task(start: Start) -> None:
    """The response to a sync submit is the completed task in the normal envelope."""
    api = start(clock="auto", media={"https://clips.example/*": "6"})
    held = api.submit(enable_sync_mode=True)

    assert (held["status"], len(held["outputs"]), held["executionTime"]) == ("completed", 1, 36_000)
    assert held == api.result(held["id"])


def test_a_sync_submit_returns_the_failed_task(start: Start) -> None:
    """If the task fails, a sync submit returns HTTP 200 with the status, code and text."""
    api = start(clock="auto", media={"https://clips.example/*": "unreachable"})
    held = api.submit(enable_sync_mode=True)

    assert (held["status"], held["code"]) == ("failed", 1402)
    assert api.balance == 100


@pytest.mark.parametrize(
    ("seconds", "status", "code"), [("14.8", "completed", None), ("15", "processing", 5004)]
)
def test_a_sync_submit_waits_ninety_seconds(
    start: Start, seconds: str, status: str, code: int | None
) -> None:
    """A sync submit waits for a task of 89.8 seconds, but not for one of 91 seconds."""
    api = start(clock="auto", media={"https://clips.example/*": seconds})
    held = api.submit(enable_sync_mode=True)

    assert (held["status"], held.get("code")) == (status, code)


def test_a_sync_timeout_is_shown_in_the_record(start: Start) -> None:
    """If a sync submit times out, the record has a code and a text for it.

    The task continues and is not refunded.
    """
    api = start(clock="auto", media={"https://clips.example/*": "60"})
    held = api.submit(enable_sync_mode=True)

    assert held["error"] == LATE
    assert held["outputs"] == []
    assert api.http.get(held["urls"]["get"]).json()["data"]["error"] == ""
    assert api.finish(held["id"])["status"] == "completed"
    assert api.kinds == ["charge"]


def test_one_advance_past_a_sync_timeout_shows_no_output(start: Start) -> None:
    """If one advance passes the sync timeout and the end, the response still has no output."""
    api = start(clock="auto", media={"https://clips.example/*": "60"})
    sandbox = api.sim.sandbox

    async def submit() -> httpx.Response:
        headers, base = api.http.headers, api.http.base_url
        async with httpx.AsyncClient(
            transport=api.sim.transport(), base_url=base, headers=headers
        ) as http:
            body = {"video": VIDEO, "enable_sync_mode": True}
            held = asyncio.create_task(http.post(f"/api/v3/{UPSCALER}", json=body))
            while not sandbox.state.jobs:  # noqa: ASYNC110 - one turn of the loop each
                await asyncio.sleep(0)
            for _ in sandbox.advance(sandbox.now + 1000 * SECOND):
                pass
            return await held

    told = asyncio.run(submit()).json()["data"]
    (job,) = sandbox.state.jobs.values()

    assert (told["status"], told["error"], told["outputs"]) == ("processing", LATE, [])
    assert told["executionTime"] == 0
    assert job.state == "completed"


def test_a_queued_task_is_processing_after_a_sync_timeout(start: Start) -> None:
    """After a sync timeout, a task that still waits for a slot is shown as `processing`."""
    api = start(clock="auto", account={"plan": "bronze"}, media={"https://clips.example/*": "600"})
    for _ in range(3):
        api.submit()
    held = api.submit(enable_sync_mode=True)

    assert (held["status"], held["code"]) == ("processing", 5004)
    assert api.sim.sandbox.state.jobs[held["id"]].state == "waiting"


def test_a_sync_timeout_may_be_a_504(start: Start) -> None:
    """With the knob `sync_timeout`, a timeout is a 504 without JSON, and the task continues."""
    api = start(clock="auto", sync_timeout="gateway", media={"https://clips.example/*": "60"})
    answer = api.post(UPSCALER, {"video": VIDEO, "enable_sync_mode": True})
    (task,) = api.sim.sandbox.state.jobs

    assert answer.status_code == 504
    assert answer.headers["content-type"] == "text/html"
    assert "504 Gateway Time-out" in answer.text
    assert api.finish(task)["status"] == "completed"
