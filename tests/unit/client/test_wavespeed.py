"""WaveSpeedAI's adapter: the two-step upload, predictions, billing records."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from upsim.client.adapter import File, Order, Price, Progress, Request, Submitted
from upsim.client.exceptions import RefusedError
from upsim.providers.wavespeed.client import ADAPTER

Play = Callable[..., Any]
MODEL = "wavespeed-ai/video-upscaler"
FILE = File("clip.mp4", "video/mp4", b"12345")
JOB = Submitted("p1", MODEL)
TICKET = {
    "data": {
        "download_url": "http://s/file",
        "upload": {"url": "http://s/put", "headers": {"If-None-Match": "*"}},
    }
}
CREATED = (200, {"data": {"id": "p1", "status": "created"}})
BILLED = (200, {"data": {"items": [{"price": 0.025}]}})


def test_upload_announces_name_size_and_type(play: Play) -> None:
    """The ticket is asked for with what will be sent."""
    played = play(ADAPTER.upload(FILE), (200, TICKET), (200, ""))

    expected = {"filename": "clip.mp4", "size": 5, "content_type": "video/mp4"}
    assert expected == played.requests[0].body


def test_upload_puts_with_the_headers_of_the_ticket(play: Play) -> None:
    """The bytes are sent with exactly the headers that the ticket names."""
    played = play(ADAPTER.upload(FILE), (200, TICKET), (200, ""))

    headers = {"If-None-Match": "*"}
    expected = Request("PUT", "http://s/put", content=b"12345", headers=headers)
    assert expected == played.requests[1]


def test_upload_gives_the_download_address(play: Play) -> None:
    """The source is the ticket's download URL."""
    assert play(ADAPTER.upload(FILE), (200, TICKET), (200, "")).result == "http://s/file"


def test_submit_writes_switches_as_booleans(play: Play) -> None:
    """`true` and `false` become JSON booleans, other options stay texts."""
    options = {"target_resolution": "4k", "copy_audio": "false"}
    played = play(ADAPTER.submit(Order(MODEL, "src", options)), CREATED, BILLED)

    expected = {"video": "src", "target_resolution": "4k", "copy_audio": False}
    assert expected == played.requests[0].body


def test_submit_goes_to_the_path_of_the_model(play: Play) -> None:
    """The model's id is the path, its slash unescaped."""
    played = play(ADAPTER.submit(Order(MODEL, "src")), CREATED, BILLED)

    assert f"/api/v3/{MODEL}" == played.requests[0].target


def test_price_is_the_jobs_billing_record(play: Play) -> None:
    """The price is what the billing records say of this very job."""
    played = play(ADAPTER.submit(Order(MODEL, "src")), CREATED, BILLED)

    assert played.requests[1].body["prediction_uuids"] == ["p1"]
    assert Submitted("p1", MODEL, "created", Price(Decimal("0.025"), "USD")) == played.result


@pytest.mark.parametrize("bills", [(200, {"data": {"items": []}}), (503, "")])
def test_a_job_without_a_billing_record_has_no_price(play: Play, bills: object) -> None:
    """A job that was accepted is not lost when its billing record cannot be read."""
    played = play(ADAPTER.submit(Order(MODEL, "src")), CREATED, bills)

    assert Submitted("p1", MODEL, "created") == played.result


def test_refusal(play: Play) -> None:
    """The message of the envelope is the refusal."""
    body = {"code": 400, "message": "Insufficient credits. Please top up."}

    with pytest.raises(RefusedError, match=r"400 Insufficient credits\. Please top up\."):
        play(ADAPTER.submit(Order(MODEL, "src")), (400, body))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"status": "created", "outputs": []}, Progress("created", "waiting")),
        ({"status": "processing", "outputs": None}, Progress("processing", "processing")),
        ({"status": "anything", "outputs": []}, Progress("anything", "processing")),
        (
            {"status": "completed", "outputs": ["http://o"], "error": ""},
            Progress("completed", "completed", "http://o"),
        ),
        (
            {"status": "failed", "outputs": [], "error": "broken"},
            Progress("failed", "failed", None, "broken"),
        ),
        ({"status": "timeout", "outputs": []}, Progress("timeout", "failed")),
    ],
)
def test_poll(play: Play, record: dict[str, object], expected: Progress) -> None:
    """Each status word has its meaning, and unknown ones are taken as work going on."""
    assert expected == play(ADAPTER.poll(JOB), (200, {"data": record})).result


def test_key() -> None:
    """The key is a bearer token."""
    assert ADAPTER.authorise("k") == {"Authorization": "Bearer k"}
