"""Venice's adapter: a data URL, the video queue by its guide, the price by quote."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from upsim.client.adapter import File, Order, Price, Progress, Submitted
from upsim.client.exceptions import RefusedError
from upsim.providers.venice.client import ADAPTER

Play = Callable[..., Any]
MODEL = "topaz-video-upscale"
JOB = Submitted("q1", MODEL)
QUEUED = (200, {"model": MODEL, "queue_id": "q1"})
BODY = {"model": MODEL, "video_url": "data:x", "upscale_factor": 4}
ORDER = Order(MODEL, "data:x", {"upscale_factor": "4"})


def test_upload_sends_nothing(play: Play) -> None:
    """The video goes into the request itself, as a data URL."""
    played = play(ADAPTER.upload(File("clip.mov", "video/quicktime", b"abc")))

    assert (played.requests, played.result) == ([], "data:video/quicktime;base64,YWJj")


def test_submit_writes_the_factor_as_a_number(play: Play) -> None:
    """The guide's factor is a JSON number."""
    assert play(ADAPTER.submit(ORDER), QUEUED, (200, {"quote": 1})).requests[0].body == BODY


def test_price_is_the_quote_of_the_same_video(play: Play) -> None:
    """The quote is asked with the very request that was queued."""
    played = play(ADAPTER.submit(ORDER), QUEUED, (200, {"quote": 0.052}))

    assert played.requests[1].body == BODY
    assert Submitted("q1", MODEL, None, Price(Decimal("0.052"), "USD")) == played.result


def test_a_job_without_a_quote_has_no_price(play: Play) -> None:
    """A job that was queued is not lost when no quote can be had."""
    assert Submitted("q1", MODEL) == play(ADAPTER.submit(ORDER), QUEUED, (429, "")).result


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": "Insufficient balance"}, "402 Insufficient balance"),
        ({"error": {"message": "refused", "type": "t"}}, "402 refused"),
        ({"code": "PAYLOAD_TOO_LARGE", "error": "Too large"}, "402 PAYLOAD_TOO_LARGE Too large"),
    ],
)
def test_refusals_in_each_form(play: Play, body: object, text: str) -> None:
    """An error is a text, an object with a message, or has a code beside it."""
    with pytest.raises(RefusedError) as refused:
        play(ADAPTER.submit(ORDER), (402, body))

    assert text == str(refused.value)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"status": "PROCESSING"}, Progress("PROCESSING", "processing")),
        (
            200,
            {"status": "completed", "url": "http://o"},
            Progress("completed", "completed", "http://o"),
        ),
        (
            500,
            {"error": "Inference processing failed"},
            Progress("failed", "failed", None, "Inference processing failed"),
        ),
        (
            422,
            {"error": {"message": "refused", "type": "t", "credits_refunded": True}},
            Progress("failed", "failed", None, "refused"),
        ),
    ],
)
def test_poll(play: Play, status: int, body: object, expected: Progress) -> None:
    """A failed job answers with the status of its failure, every other one with JSON."""
    assert expected == play(ADAPTER.poll(JOB), (status, body)).result


@pytest.mark.parametrize("status", [400, 401, 404, 429, 502, 503])
def test_poll_errors_that_are_not_the_jobs_fault(play: Play, status: int) -> None:
    """An unknown id, a missing key or an overload says nothing of the job."""
    with pytest.raises(RefusedError, match=f"{status} later"):
        play(ADAPTER.poll(JOB), (status, {"error": "later"}))


def test_key() -> None:
    """The key is a bearer token."""
    assert ADAPTER.authorise("k") == {"Authorization": "Bearer k"}
