"""VicSee's adapter: upload and PUT, the dedicated endpoint, tasks."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from upsim.client.adapter import File, Order, Price, Progress, Request, Submitted
from upsim.client.exceptions import RefusedError
from upsim.providers.vicsee.client import ADAPTER

Play = Callable[..., Any]
FILE = File("clip.mp4", "video/mp4", b"12345")
TICKET = {"data": {"uploadUrl": "http://s/put?sig=1", "publicUrl": "http://s/file"}}
SUBMITTED = {"id": "task_1", "status": "pending", "creditsUsed": 80, "input": {"billed_seconds": 5}}
JOB = Submitted("task_1", "topaz-video-upscale")


def test_upload_announces_type_and_size(play: Play) -> None:
    """The ticket is asked for with the type and the exact size of the file."""
    played = play(ADAPTER.upload(FILE), (200, TICKET), (200, ""))

    body = {"contentType": "video/mp4", "sizeBytes": 5}
    assert Request("POST", "/api/v1/upload", body) == played.requests[0]


def test_upload_puts_the_bytes(play: Play) -> None:
    """The bytes go to the ticket's address with the announced type."""
    played = play(ADAPTER.upload(FILE), (200, TICKET), (200, ""))

    headers = {"Content-Type": "video/mp4"}
    expected = Request("PUT", "http://s/put?sig=1", content=b"12345", headers=headers)
    assert expected == played.requests[1]


def test_upload_gives_the_public_address(play: Play) -> None:
    """The source is the ticket's public URL."""
    assert play(ADAPTER.upload(FILE), (200, TICKET), (200, "")).result == "http://s/file"


def test_submit_names_the_video_and_the_factor(play: Play) -> None:
    """The factor stays the string that the page asks for."""
    order = Order("topaz-video-upscale", "http://s/file", {"upscale_factor": "4"})
    played = play(ADAPTER.submit(order), (200, {"data": SUBMITTED}))

    assert played.requests[0].body == {"video_url": "http://s/file", "upscale_factor": "4"}


def test_submit_tells_price_and_seconds(play: Play) -> None:
    """Credits and billed seconds are read from the answer."""
    played = play(ADAPTER.submit(Order("m", "s")), (200, {"data": SUBMITTED}))

    price = Price(Decimal(80), "credit")
    assert Submitted("task_1", "m", "pending", price, Decimal(5)) == played.result


def test_submit_without_input_tells_no_seconds(play: Play) -> None:
    """An answer without `input` leaves the billed quantity open."""
    data = {name: value for name, value in SUBMITTED.items() if name != "input"}

    assert play(ADAPTER.submit(Order("m", "s")), (200, {"data": data})).result.billed is None


def test_refusal_has_code_and_message(play: Play) -> None:
    """An error envelope becomes a refusal with status, code and message."""
    body = {"success": False, "error": {"code": "VIDEO_TOO_LONG", "message": "Too long"}}

    with pytest.raises(RefusedError, match="422 VIDEO_TOO_LONG Too long"):
        play(ADAPTER.submit(Order("m", "s")), (422, body))


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({"status": "pending", "result": None}, Progress("pending", "waiting")),
        ({"status": "queued"}, Progress("queued", "waiting")),
        ({"status": "processing", "error": None}, Progress("processing", "processing")),
        ({"status": "anything"}, Progress("anything", "processing")),
        (
            {"status": "completed", "result": {"url": "http://o"}},
            Progress("completed", "completed", "http://o"),
        ),
        (
            {"status": "success", "result": {"url": "http://o"}},
            Progress("success", "completed", "http://o"),
        ),
        (
            {"status": "failed", "error": {"code": "X", "message": "broken"}},
            Progress("failed", "failed", None, "broken"),
        ),
    ],
)
def test_poll(play: Play, task: dict[str, object], expected: Progress) -> None:
    """Each status word has its meaning, and unknown ones are taken as work going on."""
    assert expected == play(ADAPTER.poll(JOB), (200, {"data": task})).result


def test_key() -> None:
    """The key is a bearer token."""
    assert ADAPTER.authorise("k") == {"Authorization": "Bearer k"}
