"""WaveSpeedAI's adapter: the two-step upload, predictions, billing records, signed webhooks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from upsim.client.adapter import Adapter, AdapterRequest, File, ReceivedWebhook, Request, Webhook
from upsim.client.exceptions import (
    BalanceError,
    MediaRefusedError,
    ProtocolError,
    TransientError,
    WebhookError,
)
from upsim.client.hidden_texts import Link
from upsim.client.results import Job, Money, Progress, Quote
from upsim.providers.wavespeed.client import ADAPTER

Play = Callable[..., Any]
MODEL = "wavespeed-ai/video-upscaler"
FILE = File("clip.mp4", "video/mp4", b"12345")
JOB = Job("p1", MODEL)
TICKET = {
    "data": {
        "download_url": "http://s/file",
        "upload": {"url": "http://s/put", "headers": {"If-None-Match": "*"}},
    }
}
CREATED = (200, {"data": {"id": "p1", "status": "created"}})


class _Whole(Adapter):
    """The adapter, whose optional parts are all there."""

    upload: Callable[..., Any]
    charged: Callable[..., Any]
    refunded: Callable[..., Any]
    quote: Callable[..., Any]
    jobs: Callable[..., Any]
    is_order: Callable[..., Any]
    webhook: Callable[..., Any]


WHOLE: _Whole = ADAPTER  # type: ignore[assignment]  # every part is there, as the tests show


def test_upload_announces_name_size_and_type(play: Play) -> None:
    """The client requests a WaveSpeed upload ticket with name, size and type of the file."""
    played = play(WHOLE.upload(FILE), (200, TICKET), (200, ""))

    expected = {"filename": "clip.mp4", "size": 5, "content_type": "video/mp4"}
    assert (played.requests[0].body, played.result) == (expected, "http://s/file")


def test_upload_puts_with_the_headers_of_the_ticket(play: Play) -> None:
    """The client uploads the file with exactly the headers of the ticket."""
    played = play(WHOLE.upload(FILE), (200, TICKET), (200, ""))

    headers = {"If-None-Match": "*"}
    expected = Request("PUT", "http://s/put", content=b"12345", headers=headers, cost="free")
    assert expected == played.requests[1]


def test_upload_without_headers(play: Play) -> None:
    """If the ticket has no headers, the upload sends no extra header."""
    upload = {"url": "http://s/put", "headers": None}
    ticket = {"data": {"download_url": "http://s/file", "upload": upload}}

    assert play(WHOLE.upload(FILE), (200, ticket), (200, "")).requests[1].headers == {}


def test_submit_writes_switches_as_booleans(play: Play) -> None:
    """A submit sends `true` and `false` as JSON booleans, and other options as texts."""
    options = {"target_resolution": "4k", "copy_audio": "false"}
    played = play(ADAPTER.submit(AdapterRequest(MODEL, "src", options)), CREATED)

    expected = {"video": "src", "target_resolution": "4k", "copy_audio": False}
    assert expected == played.requests[0].body


def test_submit_goes_to_the_path_of_the_model(play: Play) -> None:
    """The URL path of a submit is the model id with an unescaped slash."""
    played = play(ADAPTER.submit(AdapterRequest(MODEL, "src")), CREATED)

    assert (played.requests[0].target, played.result) == (
        f"/api/v3/{MODEL}",
        Job("p1", MODEL, status="created"),
    )


def test_submit_names_the_webhook_in_the_query(play: Play) -> None:
    """The webhook URL is escaped in the query, so that its own query stays complete."""
    order = AdapterRequest(MODEL, "src", webhook=Webhook("http://h/p?a=1&b=2"))
    played = play(ADAPTER.submit(order), CREATED)

    expected = f"/api/v3/{MODEL}?webhook=http%3A%2F%2Fh%2Fp%3Fa%3D1%26b%3D2"
    assert expected == played.requests[0].target


@pytest.mark.parametrize(
    ("items", "price"),
    [([{"price": 0.025}], Money(Decimal("0.025"), "USD")), ([{"price": None}], None), ([], None)],
)
def test_price_is_the_jobs_billing_record(play: Play, items: object, price: object) -> None:
    """The client reads the price from the job's billing record, as soon as it exists."""
    played = play(WHOLE.charged(JOB), (200, {"data": {"items": items}}))

    assert played.requests[0].body["prediction_uuids"] == ["p1"]
    assert played.result == price


@pytest.mark.parametrize(("items", "refunded"), [([{"price": 1}], True), ([], None)])
def test_refund_is_a_billing_record(play: Play, items: object, refunded: object) -> None:
    """The client reads a refund from the billing records; without one it may still follow."""
    assert play(WHOLE.refunded(JOB), (200, {"data": {"items": items}})).result is refunded


@pytest.mark.parametrize(
    ("data", "amount"),
    [({"price": 0.06, "discounted_price": 0.05}, "0.05"), ({"price": 0.06}, "0.06")],
)
def test_quote_takes_the_discount(play: Play, data: object, amount: str) -> None:
    """The client sends the inputs to the price endpoint and returns the discounted price."""
    played = play(WHOLE.quote(AdapterRequest(MODEL, "src")), (200, {"data": data}))

    assert played.requests[0].body == {"model_id": MODEL, "inputs": {"video": "src"}}
    assert Quote(MODEL, Money(Decimal(amount), "USD"), by="provider") == played.result


def test_quote_that_is_no_number(play: Play) -> None:
    """A quote response without an amount breaks the contract."""
    with pytest.raises(ProtocolError, match=r"data\.price is no number"):
        play(WHOLE.quote(AdapterRequest(MODEL, "src")), (200, {"data": {}}))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"code": 400, "message": "Insufficient credits. Please top up."}, BalanceError),
        (400, {"code": 400, "message": "video duration exceeds 600 seconds"}, MediaRefusedError),
        (200, {"code": 500, "message": "Internal Server Error"}, TransientError),
    ],
)
def test_refusal(play: Play, status: int, body: dict[str, Any], kind: type[Exception]) -> None:
    """The message of an error envelope becomes the error, also with status 200."""
    with pytest.raises(kind, match=body["message"]):
        play(ADAPTER.submit(AdapterRequest(MODEL, "src")), (status, body))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"status": "created", "outputs": []}, Progress("created", "waiting")),
        ({"status": "processing", "outputs": None}, Progress("processing", "processing")),
        ({"status": "anything", "outputs": []}, Progress("anything", "unknown")),
        (
            {"status": "completed", "outputs": ["http://o"], "error": ""},
            Progress("completed", "completed", Link("http://o")),
        ),
        (
            {"status": "completed", "outputs": "http://o"},
            Progress("completed", "completed", Link("http://o")),
        ),
        (
            {"status": "failed", "outputs": [], "error": "broken", "code": 1403},
            Progress("failed", "failed", error="broken", code="1403"),
        ),
        ({"status": "timeout", "outputs": []}, Progress("timeout", "failed")),
        ({"status": "deleted", "outputs": []}, Progress("deleted", "failed")),
    ],
)
def test_poll(play: Play, record: dict[str, object], expected: Progress) -> None:
    """The client understands each WaveSpeed status word, and reports unknown words as unknown."""
    assert expected == play(ADAPTER.poll(JOB), (200, {"data": record})).result


def test_balance(play: Play) -> None:
    """The client reads the WaveSpeed balance in dollars."""
    body = {"data": {"balance": 12.375}}

    assert play(ADAPTER.balance(), (200, body)).result == Money(Decimal("12.375"), "USD")


def test_balance_that_is_no_number(play: Play) -> None:
    """A balance response without an amount breaks the contract."""
    with pytest.raises(ProtocolError, match=r"data\.balance is no number"):
        play(ADAPTER.balance(), (200, {"data": {"balance": "many"}}))


def test_jobs_are_the_predictions(play: Play) -> None:
    """Each prediction with an id is listed as a job, and the client also requests its inputs."""
    rows = [{"id": "p2", "model": MODEL, "status": "completed"}, {"status": "failed"}]
    played = play(WHOLE.jobs(10), (200, {"data": {"items": rows}}))

    assert played.requests[0].body == {"page": 1, "page_size": 10, "include_inputs": True}
    assert played.result == (Job("p2", MODEL, "wavespeed", "completed"),)


@pytest.mark.parametrize(
    ("job", "same"),
    [
        (Job("p1", MODEL, raw={"inputs": {"video": "src"}}), True),
        (Job("p1", MODEL, raw={"inputs": {"video": "other"}}), False),
        (Job("p1", "runwayml/upscale-v1", raw={"inputs": {"video": "src"}}), False),
        (Job("p1", MODEL, raw={}), False),
        (Job("p1", MODEL), False),
    ],
)
def test_order_is_recognised_by_its_video(play: Play, job: Job, same: bool) -> None:  # noqa: FBT001 - a table
    """A prediction with the same model and video counts as the same order.

    The client needs no further request to find it.
    """
    played = play(WHOLE.is_order(job, AdapterRequest(MODEL, "src")))

    assert (played.requests, played.result) == ([], same)


SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
ID, SECOND = "5d1f0c7a9b3e4c21a6d8e0f2b4c6d8ea", 1767225600
VECTORS = {
    "e1fe32fc293c73d3b1bcd095a2112962ce38c39897bdb3953036da4cf23e7ff7": (
        '{"id":"5d1f0c7a9b3e4c21a6d8e0f2b4c6d8ea","status":"completed"}'
    ),
    "8dfaa57de52cc74580286a01d8faabce6650822de923135069fd914ed05046e3": (
        '{"id":"5d1f0c7a9b3e4c21a6d8e0f2b4c6d8ea","status":"failed",'
        '"error":"Échec — vidéo illisible"}'
    ),
}
"""Signatures computed elsewhere from the published rule."""


HEADERS = {"webhook-id": ID, "webhook-timestamp": str(SECOND)}


def received(signature: str, body: str, /, **changes: object) -> ReceivedWebhook:
    """Return a webhook with these bytes and this signature."""
    headers = HEADERS | {"webhook-signature": f"v3,{signature}"}
    made = ReceivedWebhook(headers, body.encode(), SECRET, tolerance=300, now=SECOND)
    return replace(made, **changes)  # type: ignore[arg-type]  # of a table


@pytest.mark.parametrize(("signature", "body"), VECTORS.items())
def test_signature_by_the_vectors(signature: str, body: str) -> None:
    """The client's signature check matches the published rule, also for non-ASCII text."""
    event = WHOLE.webhook(received(signature, body))

    assert (event.job, event.at) == (ID, SECOND)


SIGNED, BODY = next(iter(VECTORS.items()))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"body": BODY.encode() + b" "}, "signature is wrong: it does not match this body and sec"),
        ({"secret": "whsec_other"}, "signature is wrong: it does not match this body and secret"),
        ({"now": SECOND + 301.0}, f"timestamp: found {SECOND}, expected a time within 300 s of"),
        ({"now": SECOND - 301.0}, f"timestamp: found {SECOND}, expected a time within 300 s of"),
        ({"headers": {}}, "the header webhook-id is missing"),
        ({"headers": HEADERS | {"webhook-id": ""}}, "webhook-id: found '', expected a value"),
        ({"headers": HEADERS | {"webhook-timestamp": "x"}}, "found 'x', expected whole seconds"),
        ({"headers": HEADERS | {"webhook-timestamp": "1" * 19}}, "1', expected whole seconds"),
        ({"headers": HEADERS | {"webhook-signature": "v1,0"}}, "found 'v1,0', expected v3, and"),
    ],
)
def test_invalid_webhook_is_refused(changes: dict[str, object], told: str) -> None:
    """A wrong body, secret, time or signature raises a WebhookError that names the problem."""
    with pytest.raises(WebhookError, match=told):
        WHOLE.webhook(received(SIGNED, BODY, **changes))


@pytest.mark.parametrize("wrong", ["61c043c442664ea4", "5926ff741dca007c", "é"])
def test_signatures_with_wrongly_read_secrets_are_refused(wrong: str) -> None:
    """A signature made with the prefixed or the decoded secret is refused."""
    with pytest.raises(WebhookError, match="signature is wrong"):
        WHOLE.webhook(received(wrong, BODY))


def test_edge_of_the_tolerance() -> None:
    """A webhook that is exactly 300 seconds old is accepted."""
    assert WHOLE.webhook(received(SIGNED, BODY, now=SECOND + 300.0)).job == ID


def test_key() -> None:
    """The client sends the WaveSpeed key as a bearer token."""
    assert ADAPTER.authorise("k") == {"Authorization": "Bearer k"}
