"""PiAPI as a client speaks to it: the video as base64 inside the task, the unified task calls."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from decimal import Decimal

from upsim.client.adapter import (
    Adapter,
    Answer,
    File,
    Order,
    Price,
    Progress,
    Request,
    State,
    Steps,
    Submitted,
    accepted,
)

UNIT = "point"
TASK_TYPE = "upscale"
STATES: Mapping[str, State] = {
    "pending": "waiting",
    "staged": "waiting",
    "processing": "processing",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "failed",
}


def authorise(key: str) -> Mapping[str, str]:
    """The header `x-api-key`."""
    return {"x-api-key": key}


def upload(file: File) -> Steps[str]:
    """Nothing is sent ahead: the task takes the video as a data URL, and judges it in full.

    The upload host would take it too, but refuses other containers without saying why.
    """
    encoded = base64.b64encode(file.content).decode("ascii")
    yield from ()
    return f"data:{file.content_type};base64,{encoded}"


def submit(order: Order) -> Steps[Submitted]:
    """`POST /api/v1/task`; `meta.usage.consume` of the answer is the price."""
    body = {
        "model": order.model,
        "task_type": TASK_TYPE,
        "input": {"video": order.source, **order.options},
    }
    answer = _accepted((yield Request("POST", "/api/v1/task", body)))
    consumed = answer.text_at("data", "meta", "usage", "consume")
    return Submitted(
        job=str(answer.text_at("task_id") or answer.at("data", "task_id")),
        model=order.model,
        status=answer.text_at("data", "status"),
        price=Price(Decimal(consumed), UNIT) if consumed else None,
    )


def poll(job: Submitted) -> Steps[Progress]:
    """`GET /api/v1/task/{id}`; a failed task also answers 200."""
    answer = _accepted((yield Request("GET", f"/api/v1/task/{job.job}")))
    status = str(answer.at("data", "status"))
    return Progress(
        status=status,
        state=STATES.get(status.lower(), "processing"),
        output=answer.text_at("data", "output", "video_url"),
        error=answer.text_at("data", "error", "message") or None,
    )


def _accepted(answer: Answer) -> Answer:
    return accepted(answer, ("message",))


ADAPTER = Adapter(provider="piapi", authorise=authorise, upload=upload, submit=submit, poll=poll)
