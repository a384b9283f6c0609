"""Venice as a client speaks to it, by its guide: a data URL, the video queue, JSON on retrieve."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from decimal import Decimal
from http import HTTPStatus

from upsim.client.adapter import (
    Adapter,
    Answer,
    File,
    Order,
    Price,
    Progress,
    Request,
    Steps,
    Submitted,
    accepted,
    refusal,
)

VIDEO = "/api/v1/video"
UNIT = "USD"
FAILED = "failed"
ERROR = (("error", "message"), ("error",))
"""Where the text of an error is: in an object for a provider's own refusal, else plainly."""
NOT_THE_JOBS_FAULT = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.PAYMENT_REQUIRED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    }
)
"""Errors of a retrieve that say nothing of the job; with any other the job itself has failed."""


def authorise(key: str) -> Mapping[str, str]:
    """A bearer token."""
    return {"Authorization": f"Bearer {key}"}


def upload(file: File) -> Steps[str]:
    """There is no upload: the video goes into the request as a data URL."""
    encoded = base64.b64encode(file.content).decode("ascii")
    yield from ()
    return f"data:{file.content_type};base64,{encoded}"


def submit(order: Order) -> Steps[Submitted]:
    """`POST /video/queue`; the price is what `POST /video/quote` says of the same video."""
    factors = {name: int(value) for name, value in order.options.items()}
    body = {"model": order.model, "video_url": order.source, **factors}
    answer = _accepted((yield Request("POST", f"{VIDEO}/queue", body)))
    quote = yield Request("POST", f"{VIDEO}/quote", body)
    return Submitted(
        job=str(answer.at("queue_id")),
        model=order.model,
        price=Price(Decimal(str(quote.at("quote"))), UNIT) if quote.ok else None,
    )


def poll(job: Submitted) -> Steps[Progress]:
    """`POST /video/retrieve`; a failed job answers with the status and the text of its failure."""
    answer = yield Request("POST", f"{VIDEO}/retrieve", {"queue_id": job.job})
    if not answer.ok and answer.status not in NOT_THE_JOBS_FAULT:
        return Progress(status=FAILED, state="failed", error=refusal(answer, *ERROR).message)
    status = str(_accepted(answer).at("status"))
    done = status.lower() == "completed"
    return Progress(
        status=status,
        state="completed" if done else "processing",
        output=answer.text_at("url") if done else None,
    )


def _accepted(answer: Answer) -> Answer:
    return accepted(answer, *ERROR, code=("code",))


ADAPTER = Adapter(provider="venice", authorise=authorise, upload=upload, submit=submit, poll=poll)
