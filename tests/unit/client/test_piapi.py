"""PiAPI's adapter: the video inside the task, and the unified task calls."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from upsim.client.adapter import File, Order, Price, Progress, Submitted
from upsim.client.exceptions import RefusedError
from upsim.providers.piapi.client import ADAPTER

Play = Callable[..., Any]
MODEL = "Qubico/video-toolkit"
JOB = Submitted("t1", MODEL)
TASK = {"task_id": "t1", "status": "pending", "meta": {"usage": {"consume": 180000}}}


def test_upload_sends_nothing(play: Play) -> None:
    """The video goes into the task itself, as a data URL."""
    played = play(ADAPTER.upload(File("clip.mp4", "video/mp4", b"abc")))

    assert (played.requests, played.result) == ([], "data:video/mp4;base64,YWJj")


def test_submit_asks_for_an_upscale(play: Play) -> None:
    """The task names model, type and video."""
    played = play(ADAPTER.submit(Order(MODEL, "src")), (200, {"data": TASK}))

    expected = {"model": MODEL, "task_type": "upscale", "input": {"video": "src"}}
    assert expected == played.requests[0].body


def test_submit_of_the_wrapped_form(play: Play) -> None:
    """Id, status and price are read from the envelope."""
    played = play(ADAPTER.submit(Order(MODEL, "src")), (200, {"data": TASK}))

    assert Submitted("t1", MODEL, "pending", Price(Decimal(180000), "point")) == played.result


def test_submit_of_the_bare_form(play: Play) -> None:
    """The page's own answer holds the id and nothing else."""
    played = play(ADAPTER.submit(Order(MODEL, "src")), (200, {"task_id": "t1"}))

    assert Submitted("t1", MODEL) == played.result


def test_refusal(play: Play) -> None:
    """The message of the envelope is the refusal."""
    body = {"code": 413, "data": None, "message": "video exceeds the 10MB limit"}

    with pytest.raises(RefusedError, match="413 video exceeds the 10MB limit"):
        play(ADAPTER.submit(Order(MODEL, "src")), (413, body))


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({"status": "pending", "output": None}, Progress("pending", "waiting")),
        ({"status": "staged"}, Progress("staged", "waiting")),
        ({"status": "Processing"}, Progress("Processing", "processing")),
        ({"status": "anything"}, Progress("anything", "processing")),
        (
            {"status": "completed", "output": {"video_url": "http://o"}, "error": {"message": ""}},
            Progress("completed", "completed", "http://o"),
        ),
        (
            {"status": "failed", "output": None, "error": {"code": 10000, "message": "broken"}},
            Progress("failed", "failed", None, "broken"),
        ),
        ({"status": "cancelled"}, Progress("cancelled", "failed")),
    ],
)
def test_poll(play: Play, task: dict[str, object], expected: Progress) -> None:
    """Each status word has its meaning in either spelling."""
    assert expected == play(ADAPTER.poll(JOB), (200, {"data": task})).result


def test_key() -> None:
    """The key has a header of its own."""
    assert ADAPTER.authorise("k") == {"x-api-key": "k"}
