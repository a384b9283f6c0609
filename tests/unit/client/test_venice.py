"""Venice's adapter: a data URL, the video queue by its guide, the price by quote."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from upsim.client.adapter import AdapterRequest, ProviderResponse
from upsim.client.exceptions import (
    BalanceError,
    MediaRefusedError,
    NotFoundError,
    ProtocolError,
    RefusedError,
    TransientError,
)
from upsim.client.hidden_texts import Link
from upsim.client.results import Job, Money, Progress, Quote
from upsim.providers.venice.client import ADAPTER

Play = Callable[..., Any]
MODEL = "topaz-video-upscale"
JOB = Job("q1", MODEL)
QUEUED = (200, {"model": MODEL, "queue_id": "q1"})
BODY = {"model": MODEL, "video_url": "data:x", "upscale_factor": 4}
ORDER = AdapterRequest(MODEL, "data:x", {"upscale_factor": "4"})
quote: Callable[..., Any] = ADAPTER.quote  # type: ignore[assignment]  # it is there


@pytest.mark.parametrize("factor", ["4", 4], ids=["text", "number"])
def test_submit_writes_the_factor_as_a_number(play: Play, factor: str | int) -> None:
    """A Venice submit has the factor as a JSON number."""
    order = AdapterRequest(MODEL, "data:x", {"upscale_factor": factor})

    assert play(ADAPTER.submit(order), QUEUED).requests[0].body == BODY


@pytest.mark.parametrize(
    ("issues", "told"),
    [
        (
            [{"path": ["a", 0], "message": "no"}, {"path": [], "message": "nor this"}],
            "400 wrong: a.0: no; nor this",
        ),
        ([{"path": "a", "message": "no"}, {"path": ["a"]}, 5], "400 wrong: no"),
        ("none", "400 wrong"),
        ([], "400 wrong"),
    ],
)
def test_error_lists_the_issues_of_parameters(play: Play, issues: object, told: str) -> None:
    """An error has the provider's exact message, followed by the issues of single parameters."""
    with pytest.raises(RefusedError) as found:
        play(ADAPTER.submit(ORDER), (400, {"error": "wrong", "issues": issues}))

    assert (told, "wrong") == (str(found.value), found.value.message)


def test_submit_is_paid_and_quote_is_free(play: Play) -> None:
    """Venice's `queue` is a paid request, and its quote is free."""
    submitted = play(ADAPTER.submit(ORDER), QUEUED).requests[0]
    quoted = play(quote(ORDER), (200, {"quote": 1})).requests[0]

    assert (submitted.cost, quoted.free) == ("paid", True)


def test_submit_returns_the_id(play: Play) -> None:
    """A Venice submit returns an id and no price."""
    assert Job("q1", MODEL) == play(ADAPTER.submit(ORDER), QUEUED).result


def test_quote_has_the_body_of_the_submit(play: Play) -> None:
    """A Venice quote sends the same body as the submit."""
    played = play(quote(ORDER), (200, {"quote": 0.052}))

    expected = Quote(MODEL, Money(Decimal("0.052"), "USD"), by="provider")
    assert (played.requests[0].body, played.result) == (BODY, expected)


def test_quote_that_is_no_number(play: Play) -> None:
    """A quote response without an amount breaks the contract."""
    with pytest.raises(ProtocolError, match="the quote is no number"):
        play(quote(ORDER), (200, {"quote": None}))


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (402, {"error": "Insufficient balance"}, BalanceError, "402 Insufficient balance"),
        (402, {"error": {"message": "refused", "type": "t"}}, BalanceError, "402 refused"),
        (
            413,
            {"code": "PAYLOAD_TOO_LARGE", "error": "Too large"},
            MediaRefusedError,
            "413 PAYLOAD_TOO_LARGE Too large",
        ),
        (400, {"error": "Invalid video format. MP4"}, MediaRefusedError, "400 Invalid video"),
        (400, {"error": "Request ID is invalid."}, NotFoundError, "400 Request ID is invalid."),
        (503, {"error": "at capacity"}, TransientError, "503 at capacity"),
    ],
)
def test_refusals_in_each_form(
    play: Play, status: int, body: object, kind: type[RefusedError], text: str
) -> None:
    """The client reads Venice errors in all forms: a text, an object, or a text with a code."""
    with pytest.raises(kind, match=text):
        play(ADAPTER.submit(ORDER), (status, body))


FAILED = {"status": "FAILED", "error": "broken", "error_code": "INFERENCE_FAILED"}
REFUSED = {"error": {"message": "no", "type": "policy", "credits_refunded": True}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((200, {"status": "PROCESSING"}), Progress("PROCESSING", "processing")),
        ((200, {"status": "anything", "url": "http://o"}), Progress("anything", "unknown")),
        (
            (200, {"status": "completed", "url": "http://o"}),
            Progress("completed", "completed", Link("http://o")),
        ),
        (
            (200, {"status": "COMPLETED", "video_url": "http://o"}),
            Progress("COMPLETED", "completed", Link("http://o")),
        ),
        ((200, {"status": "completed", "url": None}), Progress("completed", "completed")),
        ((200, FAILED), Progress("FAILED", "failed", error="broken", code="INFERENCE_FAILED")),
        (
            (500, {"error": "Inference processing failed"}),
            Progress("500", "failed", error="Inference processing failed", tentative=True),
        ),
        (
            (422, {"error": "no", "credits_refunded": False}),
            Progress("422", "failed", error="no", refunded=False),
        ),
        ((422, REFUSED), Progress("422", "failed", error="no", code="policy", refunded=True)),
    ],
)
def test_poll(play: Play, given: object, expected: Progress) -> None:
    """A failed Venice job is shown by the response status, in the guide's or the SDKs' format."""
    assert expected == play(ADAPTER.poll(JOB), given).result


def test_poll_names_the_model(play: Play) -> None:
    """A Venice poll sends the model, which the current API requires."""
    played = play(ADAPTER.poll(JOB), (200, {"status": "PROCESSING"}))

    assert played.requests[0].body == {"model": MODEL, "queue_id": "q1"}


def test_poll_may_be_the_file(play: Play, tmp_path: Path) -> None:
    """If the response to a poll is the video file, the job is completed."""
    file = tmp_path / "1.mp4"
    progress = play(ADAPTER.poll(JOB), ProviderResponse(200, b"", spool=file)).result

    assert (progress.state, progress.spool, progress.has_output) == ("completed", file, True)


@pytest.mark.parametrize("given", [(500, "<html>"), (502, ""), (503, {"error": "busy"})])
def test_poll_distinguishes_gateway_errors_from_failures(play: Play, given: object) -> None:
    """A gateway error in a poll says nothing about the job and does not count as its failure."""
    with pytest.raises(TransientError):
        play(ADAPTER.poll(JOB), given)


def test_balance(play: Play) -> None:
    """The client reads the Venice balances with any key."""
    body = {"data": {"balances": {"USD": 42.37, "DIEM": 0}}}

    assert play(ADAPTER.balance(), (200, body)).result == Money(Decimal("42.37"), "USD")


def test_balance_that_is_no_number(play: Play) -> None:
    """A balance response without an amount breaks the contract."""
    with pytest.raises(ProtocolError, match=r"data\.balances\.USD is no number"):
        play(ADAPTER.balance(), (200, {"data": {}}))


def test_key() -> None:
    """The client sends the Venice key as a bearer token."""
    assert ADAPTER.authorise("k") == {"Authorization": "Bearer k"}
