"""VicSee's adapter: upload and PUT, the dedicated endpoint, the Tasks API."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from upsim.client.adapter import AdapterRequest, File, Request
from upsim.client.exceptions import (
    BalanceError,
    ClientError,
    InvalidInputError,
    MediaRefusedError,
    ProtocolError,
    TransientError,
)
from upsim.client.hidden_texts import Link
from upsim.client.results import Billed, Job, Money, Progress
from upsim.providers.vicsee.client import ADAPTER

Play = Callable[..., Any]
MODEL = "topaz-video-upscale"
FILE = File("clip.mp4", "video/mp4", b"12345")
JOB = Job("task_1", MODEL)
TICKET = {"success": True, "data": {"uploadUrl": "http://s/put", "publicUrl": "http://s/file"}}
SUBMITTED = {"id": "task_1", "status": "pending", "creditsUsed": 80}
upload: Callable[..., Any] = ADAPTER.upload  # type: ignore[assignment]  # it is there


def test_upload_announces_type_and_size(play: Play) -> None:
    """The client requests a ticket with type and size, and then uploads without its key."""
    played = play(upload(FILE), (200, TICKET), (200, ""))
    put = Request(
        "PUT", "http://s/put", content=b"12345", headers={"Content-Type": "video/mp4"}, cost="free"
    )

    assert played.requests[0].body == {"contentType": "video/mp4", "sizeBytes": 5}
    assert (played.requests[1], played.result) == (put, "http://s/file")


def test_submit_names_the_video_and_the_factor(play: Play) -> None:
    """A VicSee submit has the factor as a string, also if the caller gives a number."""
    played = play(
        ADAPTER.submit(AdapterRequest("m", "s", {"upscale_factor": 4})), (200, {"data": SUBMITTED})
    )

    assert played.requests[0].body == {"video_url": "s", "upscale_factor": "4"}


def test_submit_reads_price_and_seconds(play: Play) -> None:
    """The client reads credits and billed seconds from the submit response."""
    data = SUBMITTED | {"input": {"billed_seconds": 5}}
    played = play(ADAPTER.submit(AdapterRequest("m", "s")), (200, {"data": data}))

    price, billed = Money(Decimal(80), "credit"), Billed(Decimal(5), "seconds")
    assert Job("task_1", "m", status="pending", price=price, billed=billed) == played.result


def test_submit_without_price_and_seconds(play: Play) -> None:
    """If a submit response has no credits and seconds, both are None."""
    played = play(ADAPTER.submit(AdapterRequest("m", "s")), (200, {"data": {"id": "task_1"}}))

    assert Job("task_1", "m") == played.result


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (422, "VIDEO_TOO_LONG", MediaRefusedError),
        (422, "PROBE_FAILED", MediaRefusedError),
        (402, "INSUFFICIENT_CREDITS", BalanceError),
        (400, "INVALID_UPSCALE_FACTOR", InvalidInputError),
        (200, "INTERNAL_ERROR", TransientError),
    ],
)
def test_refusal_has_code_and_message(
    play: Play, status: int, code: str, kind: type[ClientError]
) -> None:
    """A VicSee error envelope raises the matching error class, also with status 200."""
    body = {"success": False, "error": {"code": code, "message": "told so"}}

    with pytest.raises(kind, match="told so"):
        play(ADAPTER.submit(AdapterRequest("m", "s")), (status, body))


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({"status": "pending", "result": None}, Progress("pending", "waiting")),
        ({"status": "queued"}, Progress("queued", "waiting")),
        ({"status": "processing", "error": None}, Progress("processing", "processing")),
        ({"status": "anything"}, Progress("anything", "unknown")),
        (
            {"status": "completed", "result": {"url": "http://o"}},
            Progress("completed", "completed", Link("http://o")),
        ),
        (
            {"status": "success", "result": {"url": "http://o"}},
            Progress("success", "completed", Link("http://o")),
        ),
        (
            {"status": "failed", "error": {"code": "X", "message": "broken"}},
            Progress("failed", "failed", error="broken", code="X"),
        ),
    ],
)
def test_poll(play: Play, task: dict[str, object], expected: Progress) -> None:
    """The client understands each VicSee status word, and reports unknown words as unknown."""
    assert expected == play(ADAPTER.poll(JOB), (200, {"data": task})).result


def test_balance(play: Play) -> None:
    """The client reads the VicSee balance as one number of credits."""
    body = {"success": True, "data": {"credits": 4250}}

    assert play(ADAPTER.balance(), (200, body)).result == Money(Decimal(4250), "credit")


def test_balance_that_is_no_number(play: Play) -> None:
    """A balance response without an amount breaks the contract."""
    with pytest.raises(ProtocolError, match=r"data\.credits is no number"):
        play(ADAPTER.balance(), (200, {"success": True, "data": {}}))


def test_key() -> None:
    """The client sends the VicSee key as a bearer token."""
    assert ADAPTER.authorise("k") == {"Authorization": "Bearer k"}
