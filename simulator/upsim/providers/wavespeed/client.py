"""The adapter of WaveSpeedAI: two-step upload, predictions, billing records."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import quote as escaped

from upsim.client.adapter import (
    Adapter,
    AdapterRequest,
    ErrorFormat,
    ErrorMeaning,
    File,
    Job,
    Money,
    PollingCadence,
    Progress,
    ProtocolError,
    ProviderResponse,
    Quote,
    ReceivedWebhook,
    Request,
    State,
    Steps,
    UploadMethod,
    WebhookError,
    WebhookEvent,
    link,
    number,
    path_segment,
)

V3 = "/api/v3"
UNIT = "USD"
TIMESTAMP = "[0-9]{1,18}"
SWITCHES: Mapping[object, object] = {"true": True, "false": False}
READING = ErrorFormat(
    texts=(("message",),),
    code=("error_code",),
    status=("code",),
    meanings=(
        ErrorMeaning("balance", "Insufficient credits"),
        ErrorMeaning("media", "video duration exceeds"),
        ErrorMeaning("media", "the video could not be read"),
        ErrorMeaning("media", "the output would be larger"),
    ),
)
STATES: Mapping[str, State] = {
    "created": "waiting",
    "processing": "processing",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "failed",
    "timeout": "failed",
    "deleted": "failed",
}


def authorise(key: str) -> Mapping[str, str]:
    """Return the header with a bearer token."""
    return {"Authorization": f"Bearer {key}"}


def upload(file: File) -> Steps[str]:
    """Request a ticket by `POST /media/uploads`; then PUT the bytes with the ticket's headers."""
    wanted = {"filename": file.name, "size": file.size, "content_type": file.content_type}
    ticket = READING.accepted((yield Request("POST", f"{V3}/media/uploads", wanted, cost="free")))
    address = ticket.word_at("data", "upload", "url")
    named = ticket.at("data", "upload", "headers")
    headers = {str(k): str(v) for k, v in named.items()} if isinstance(named, dict) else {}
    READING.accepted(
        (yield Request("PUT", address, content=file.content, headers=headers, cost="free"))
    )
    return ticket.word_at("data", "download_url")


def submit(order: AdapterRequest) -> Steps[Job]:
    """`POST /api/v3/{model}`; the webhook URL is a query parameter."""
    hook = order.webhook
    query = f"?webhook={escaped(hook.url, safe='')}" if hook is not None else ""
    body = _inputs(order)
    answer = READING.accepted(
        (yield Request("POST", f"{V3}/{order.model}{query}", body, cost="paid"))
    )
    return Job(
        id=answer.word_at("data", "id"),
        model=order.model,
        status=answer.text_at("data", "status"),
        raw=answer.raw,
    )


def charged(job: Job) -> Steps[Money | None]:
    """Return the price in the job's billing record; None before there is a record."""
    rows = yield from _bills(job, "deduct")
    return next((Money(price, UNIT) for row in rows if (price := _price(row)) is not None), None)


def refunded(job: Job) -> Steps[bool | None]:
    """Return True if the billing records have the refund; None if not (it may take 3 hours)."""
    rows = yield from _bills(job, "refund")
    return True if rows else None


def quote(order: AdapterRequest) -> Steps[Quote]:
    """`POST /model/price`, which measures the video."""
    body = {"model_id": order.model, "inputs": _inputs(order)}
    answer = READING.accepted((yield Request("POST", f"{V3}/model/price", body, cost="free")))
    found = answer.number_at("data", "discounted_price")
    amount = answer.number_at("data", "price") if found is None else found
    if amount is None:
        raise ProtocolError("data.price is no number")
    return Quote(order.model, Money(amount, UNIT), by="provider", raw=answer.raw)


def poll(job: Job) -> Steps[Progress]:
    """`GET /api/v3/predictions/{id}/result`; a failed task also gets 200."""
    path = f"{V3}/predictions/{path_segment(job.id)}/result"
    answer = READING.accepted((yield Request("GET", path)))
    return _progress(answer, "data")


def webhook(received: ReceivedWebhook) -> WebhookEvent:
    """Verify `v3,<hex>`, an HMAC-SHA256 of `id.timestamp.body`; the body is the plain record.

    The key of the HMAC is the secret as text, without `whsec_`. It is not decoded from base64.
    """
    name = received.header("webhook-id")
    second = received.header("webhook-timestamp", TIMESTAMP, "whole seconds")
    signature = received.header(
        "webhook-signature", "v3,.+", "v3, and the HMAC-SHA256 in hexadecimal"
    )
    key = received.secret.removeprefix("whsec_").encode()
    signed = f"{name}.{second}.".encode(errors="surrogatepass") + received.body
    expected = f"v3,{hmac.new(key, signed, hashlib.sha256).hexdigest()}"
    if not hmac.compare_digest(expected.encode(), signature.encode(errors="surrogatepass")):
        raise WebhookError("webhook-signature is wrong: it does not match this body and secret")
    if abs(received.now - int(second)) > received.tolerance:
        raise WebhookError(
            f"webhook-timestamp: found {second}, expected a time within {received.tolerance:g} s "
            f"of {received.now:.0f}"
        )
    answer = received.answer
    progress = _progress(answer)
    return WebhookEvent(
        "wavespeed", answer.word_at("id"), progress, at=int(second), raw=progress.raw
    )


def balance() -> Steps[Money]:
    """Return the balance: `GET /api/v3/balance`."""
    answer = READING.accepted((yield Request("GET", f"{V3}/balance")))
    amount = answer.number_at("data", "balance")
    if amount is None:
        raise ProtocolError("data.balance is no number")
    return Money(amount, UNIT)


def jobs(limit: int) -> Steps[tuple[Job, ...]]:
    """`POST /api/v3/predictions`: the tasks of the last seven days, with their inputs."""
    body = {"page": 1, "page_size": limit, "include_inputs": True}
    answer = READING.accepted((yield Request("POST", f"{V3}/predictions", body, cost="free")))
    return tuple(
        Job(
            id=str(row["id"]),
            model=str(row.get("model")),
            provider="wavespeed",
            status=str(row.get("status")),
            raw=row,
        )
        for row in answer.rows_at("data", "items")
        if row.get("id")
    )


def is_order(job: Job, order: AdapterRequest) -> Steps[bool]:
    """Return whether a prediction was made with this video, by the inputs in its record."""
    yield from ()
    inputs = job.raw.get("inputs") if isinstance(job.raw, dict) else None
    same = isinstance(inputs, dict) and inputs.get("video") == order.source
    return same and job.model == order.model


def _inputs(order: AdapterRequest) -> dict[str, object]:
    options = {name: SWITCHES.get(value, value) for name, value in order.options.items()}
    return {"video": order.source, **options}


def _bills(job: Job, kind: str) -> Steps[list[dict[str, object]]]:
    wanted = {"page": 1, "page_size": 1, "billing_type": kind, "prediction_uuids": [job.id]}
    answer = READING.accepted((yield Request("POST", f"{V3}/billings/search", wanted, cost="free")))
    return answer.rows_at("data", "items")


def _price(row: Mapping[str, object]) -> Decimal | None:
    return number(row.get("price"))


def _progress(answer: ProviderResponse, *place: str) -> Progress:
    """Return the progress in the prediction record at `place` in the document."""
    status = answer.word_at(*place, "status")
    state = STATES.get(status.lower(), "unknown")
    return Progress(
        status=status,
        state=state,
        output=link(_first(answer.at(*place).get("outputs"))),
        error=answer.text_at(*place, "error") or None,
        code=answer.text_at(*place, "code") if state == "failed" else None,
        raw=answer.raw,
    )


def _first(outputs: object) -> object:
    """Return the first output; one page documents a plain string instead of a list."""
    if isinstance(outputs, list):
        return outputs[0] if outputs else None
    return outputs


ADAPTER = Adapter(
    provider="wavespeed",
    authorise=authorise,
    hand_in=UploadMethod(by="upload", limit="upload_bytes"),
    upload=upload,
    submit=submit,
    charged=charged,
    refunded=refunded,
    poll=poll,
    balance=balance,
    quote=quote,
    jobs=jobs,
    is_order=is_order,
    cadence=PollingCadence(first=2.0, factor=1.5, most=10.0),
    webhooks="url",
    webhook=webhook,
    lookup="find(error) looks for it among the predictions of the last seven days.",
)
