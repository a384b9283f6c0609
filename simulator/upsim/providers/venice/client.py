"""The adapter of Venice: it sends a data URL; retrieve returns a link or the file itself."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from upsim.client.adapter import (
    Adapter,
    AdapterRequest,
    ErrorFormat,
    ErrorMeaning,
    Job,
    Money,
    PollingCadence,
    Progress,
    ProtocolError,
    ProviderResponse,
    Quote,
    Request,
    State,
    Steps,
    UploadMethod,
    link,
)

VIDEO = "/api/v1/video"
UNIT = "USD"
READING = ErrorFormat(
    texts=(("error", "message"), ("error",)),
    code=("code",),
    issues="issues",
    meanings=(
        ErrorMeaning("media", "Invalid video format"),
        ErrorMeaning("media", "Could not read the video"),
        ErrorMeaning("media", "Video duration"),
        ErrorMeaning("media", "The output would be larger"),
        ErrorMeaning("not_found", "Request ID is invalid"),
    ),
)
STATES: Mapping[str, State] = {
    "processing": "processing",
    "completed": "completed",
    "failed": "failed",
}
FAILURES = frozenset({HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.INTERNAL_SERVER_ERROR})
"""Statuses of a retrieve that mean a failed job, if the body contains an error."""


def authorise(key: str) -> Mapping[str, str]:
    """Return the header with a bearer token."""
    return {"Authorization": f"Bearer {key}"}


def submit(order: AdapterRequest) -> Steps[Job]:
    """`POST /video/queue`; the response has only an id."""
    answer = READING.accepted((yield Request("POST", f"{VIDEO}/queue", _body(order), cost="paid")))
    return Job(id=answer.word_at("queue_id"), model=order.model, raw=answer.raw)


def quote(order: AdapterRequest) -> Steps[Quote]:
    """`POST /video/quote` with the body of queue; the guide promises "exact pricing"."""
    answer = READING.accepted((yield Request("POST", f"{VIDEO}/quote", _body(order), cost="free")))
    amount = answer.number_at("quote")
    if amount is None:
        raise ProtocolError("the quote is no number")
    return Quote(order.model, Money(amount, UNIT), by="provider", raw=answer.raw)


def poll(job: Job) -> Steps[Progress]:
    """`POST /video/retrieve`; the dialect decides if a finished job is a link or the MP4 itself.

    Every poll of a failed job gets the status and the text of its failure. A 500 may also
    be a server error, so a 500 counts as a failure only if the next poll gets it again.
    """
    body = {"model": job.model, "queue_id": job.id}
    answer = yield Request("POST", f"{VIDEO}/retrieve", body, cost="free")
    if answer.spool is not None:
        return Progress(status="completed", state="completed", spool=answer.spool)
    if answer.status in FAILURES and isinstance(answer.raw, dict) and "error" in answer.raw:
        return _failed(answer)
    status = READING.accepted(answer).word_at("status")
    state = STATES.get(status.lower(), "unknown")
    texts = [answer.text_at("url"), answer.text_at("video_url"), answer.text_at("download_url")]
    return Progress(
        status=status,
        state=state,
        output=link(next(filter(None, texts), None)) if state == "completed" else None,
        error=answer.text_at("error") if state == "failed" else None,
        code=answer.text_at("error_code"),
        raw=answer.raw,
    )


def balance() -> Steps[Money]:
    """`GET /api_keys/rate_limits`, which every key may use, unlike `GET /billing/balance`."""
    answer = READING.accepted((yield Request("GET", "/api/v1/api_keys/rate_limits")))
    usd = answer.number_at("data", "balances", "USD")
    if usd is None:
        raise ProtocolError("data.balances.USD is no number")
    return Money(usd, UNIT)


def _body(order: AdapterRequest) -> dict[str, object]:
    """Return the body of an order; the factor is a number here."""
    factors = {
        name: int(value) if isinstance(value, str) and value.isdecimal() else value
        for name, value in order.options.items()
    }
    return {"model": order.model, "video_url": order.source, **factors}


def _failed(answer: ProviderResponse) -> Progress:
    raw = answer.raw
    inner = raw["error"] if isinstance(raw["error"], dict) else raw
    refunded = inner.get("credits_refunded")
    return Progress(
        status=str(answer.status),
        state="failed",
        error=answer.text_at("error", "message") or answer.text_at("error"),
        code=answer.text_at("error", "type"),
        refunded=refunded if isinstance(refunded, bool) else None,
        tentative=answer.status == HTTPStatus.INTERNAL_SERVER_ERROR,
        raw=raw,
    )


ADAPTER = Adapter(
    provider="venice",
    authorise=authorise,
    hand_in=UploadMethod(by="data_url", limit="body_bytes", encoded=True),
    submit=submit,
    poll=poll,
    balance=balance,
    quote=quote,
    cadence=PollingCadence(first=5.0),  # both loops of the guide
    refusals=frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}),
    lookup=(
        "Venice lists no jobs: compare balance() with what it was, or look for the charge in "
        "GET /api/v1/billing/usage-history (which needs an admin key)."
    ),
)
