"""PiAPI's adapter: the video inside the task, and the unified task calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from upsim.client.adapter import AdapterRequest, ReceivedWebhook, Webhook
from upsim.client.exceptions import (
    BalanceError,
    ClientError,
    MediaRefusedError,
    ProtocolError,
    TransientError,
    WebhookError,
)
from upsim.client.hidden_texts import Link
from upsim.client.results import Job, Money, Progress
from upsim.providers.piapi.client import ADAPTER

Play = Callable[..., Any]
MODEL = "Qubico/video-toolkit"
JOB = Job("t1", MODEL)
TASK = {"task_id": "t1", "status": "pending", "meta": {"usage": {"consume": 180000}}}
PRICE = Money(Decimal(180000), "point")


def test_submit_requests_an_upscale(play: Play) -> None:
    """The body of a PiAPI submit has model, type and video."""
    played = play(ADAPTER.submit(AdapterRequest(MODEL, "src")), (200, {"data": TASK}))

    expected = {"model": MODEL, "task_type": "upscale", "input": {"video": "src"}}
    assert expected == played.requests[0].body


def test_submit_names_the_webhook(play: Play) -> None:
    """The client writes the URL and secret of a webhook to the task's config."""
    order = AdapterRequest(MODEL, "src", webhook=Webhook("http://h", "s3"))
    played = play(ADAPTER.submit(order), (200, {"data": TASK}))

    expected = {"webhook_config": {"endpoint": "http://h", "secret": "s3"}}
    assert expected == played.requests[0].body["config"]


def test_submit_of_the_wrapped_form(play: Play) -> None:
    """The client reads the id, status and price of a submit from the envelope."""
    played = play(ADAPTER.submit(AdapterRequest(MODEL, "src")), (200, {"data": TASK}))

    assert Job("t1", MODEL, status="pending", price=PRICE) == played.result


def test_submit_of_the_bare_form(play: Play) -> None:
    """The client also accepts a bare submit response, which has only the id."""
    played = play(ADAPTER.submit(AdapterRequest(MODEL, "src")), (200, {"task_id": "t1"}))

    assert Job("t1", MODEL) == played.result


def test_price_by_the_task(play: Play) -> None:
    """If a submit response has no price, the client reads it from the task."""
    charged = ADAPTER.charged
    assert charged is not None

    assert play(charged(JOB), (200, {"data": TASK})).result == PRICE


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (413, 413, "video exceeds the 10MB limit", MediaRefusedError),
        (400, 400, "failed to get valid video", MediaRefusedError),
        (400, 400, "invalid video: only MP4 is supported", MediaRefusedError),
        (400, 400, "insufficient credits", BalanceError),
        (200, 500, "internal server error", TransientError),
    ],
)
def test_refusal(play: Play, status: int, code: int, message: str, kind: type[ClientError]) -> None:
    """The message of an error envelope becomes the error, also with status 200."""
    body = {"code": code, "data": None, "message": message}
    with pytest.raises(kind, match=f"{code} {message}"):
        play(ADAPTER.submit(AdapterRequest(MODEL, "src")), (status, body))


USED, FREE = {"usage": {"consume": 5}}, {"usage": {"consume": 0}}


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({"status": "pending", "output": None}, Progress("pending", "waiting")),
        ({"status": "staged"}, Progress("staged", "waiting")),
        ({"status": "Processing"}, Progress("Processing", "processing")),
        ({"status": "anything"}, Progress("anything", "unknown")),
        (
            {"status": "completed", "output": {"video_url": "http://o"}, "error": {"message": ""}},
            Progress("completed", "completed", Link("http://o")),
        ),
        (
            {"status": "failed", "error": {"code": 1, "message": "broken"}, "meta": FREE},
            Progress("failed", "failed", error="broken", code="1", refunded=True),
        ),
        (
            {"status": "cancelled", "meta": USED},
            Progress("cancelled", "failed", refunded=False),
        ),
        ({"status": "failed"}, Progress("failed", "failed")),
    ],
)
def test_poll(play: Play, task: dict[str, object], expected: Progress) -> None:
    """The client understands each PiAPI status word in any case, and reads 0 points as a refund."""
    assert expected == play(ADAPTER.poll(JOB), (200, {"data": task})).result


def test_cancel(play: Play) -> None:
    """The client cancels a PiAPI task by DELETE, as a free request."""
    cancel = ADAPTER.cancel
    assert cancel is not None
    request = play(cancel(JOB), (200, {"code": 200})).requests[0]

    assert (request.method, request.target, request.free) == ("DELETE", "/api/v1/task/t1", True)


def test_balance(play: Play) -> None:
    """The client reads the balance from the points of the wallet."""
    body = {"data": {"wallet": {"point_remain": 49820000}}}

    assert play(ADAPTER.balance(), (200, body)).result == Money(Decimal(49820000), "point")


def test_balance_that_is_no_number(play: Play) -> None:
    """A balance response without an amount breaks the contract."""
    with pytest.raises(ProtocolError, match=r"data\.wallet\.point_remain is no number"):
        play(ADAPTER.balance(), (200, {"data": {}}))


def test_jobs_are_the_history(play: Play) -> None:
    """Each row of the PiAPI history is a job; rows without an id are skipped."""
    listing = ADAPTER.jobs
    assert listing is not None
    rows = [
        {"task_id": "t2", "task_model": "video_toolkit", "status": "completed", "usage": 180000},
        {"task_id": "t1", "status": "failed"},
        {"status": "failed"},
    ]
    found = play(listing(3), (200, {"data": {"data": rows}})).result

    assert found == (
        Job("t2", "video_toolkit", "piapi", "completed", price=PRICE),
        Job("t1", "video_toolkit", "piapi", "failed"),
    )


@pytest.mark.parametrize(
    ("source", "echo", "same"),
    [
        ("http://v/1.mp4", "http://v/1.mp4", True),
        ("http://v/1.mp4", "http://v/2.mp4", False),
        ("data:video/mp4;base64,AAAA", "http://x/media/uploads/1.mp4", True),
        ("data:video/mp4;base64,AAAA", "http://v/2.mp4", False),
        ("http://v/1.mp4", None, False),
    ],
)
def test_order_is_recognised_by_its_video(
    play: Play,
    source: str,
    echo: str | None,
    same: bool,  # noqa: FBT001 - a table
) -> None:
    """A PiAPI task with the same video URL counts as the same order.

    An order whose video was sent as data cannot be recognised.
    """
    is_order = ADAPTER.is_order
    assert is_order is not None
    answer = (200, {"data": {"input": {"video": echo}}})

    assert play(is_order(JOB, AdapterRequest(MODEL, source)), answer).result is same


BODY = json.dumps({"timestamp": 1767225600, "data": TASK | {"status": "completed"}}).encode()
EVENT = ReceivedWebhook({"x-webhook-secret": "s3"}, BODY, "s3", 300, 1767225600)


def test_webhook() -> None:
    """The client checks the secret header of a PiAPI webhook and reads the task from its body."""
    webhook = ADAPTER.webhook
    assert webhook is not None
    event = webhook(EVENT)

    assert (event.job, event.progress.state, event.at) == ("t1", "completed", 1767225600)


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, "the header x-webhook-secret is missing"),
        ({"x-webhook-secret": "other"}, "the header x-webhook-secret is wrong"),
    ],
)
def test_webhook_with_a_wrong_secret(headers: dict[str, str], told: str) -> None:
    """A PiAPI webhook with a missing or wrong secret is refused."""
    webhook = ADAPTER.webhook
    assert webhook is not None
    with pytest.raises(WebhookError, match=told):
        webhook(replace(EVENT, headers=headers))


def test_key() -> None:
    """The client sends the PiAPI key in a header of its own."""
    assert ADAPTER.authorise("k") == {"x-api-key": "k"}
