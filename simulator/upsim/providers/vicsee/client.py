"""VicSee as a client speaks to it: upload and PUT, the dedicated endpoint, the Tasks API."""

from __future__ import annotations

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

UNIT = "credit"
STATES: Mapping[str, State] = {
    "pending": "waiting",
    "queued": "waiting",
    "processing": "processing",
    "completed": "completed",
    "success": "completed",
    "failed": "failed",
}


def authorise(key: str) -> Mapping[str, str]:
    """A bearer token."""
    return {"Authorization": f"Bearer {key}"}


def upload(file: File) -> Steps[str]:
    """A ticket by `POST /upload`, then the bytes by PUT, without the key."""
    wanted = {"contentType": file.content_type, "sizeBytes": len(file.content)}
    ticket = _accepted((yield Request("POST", "/api/v1/upload", wanted)))
    headers = {"Content-Type": file.content_type}
    address = str(ticket.at("data", "uploadUrl"))
    _accepted((yield Request("PUT", address, content=file.content, headers=headers)))
    return str(ticket.at("data", "publicUrl"))


def submit(order: Order) -> Steps[Submitted]:
    """`POST /tools/upscale-video`, whose answer shows how the cost was found."""
    body = {"video_url": order.source, **order.options}
    answer = _accepted((yield Request("POST", "/api/v1/tools/upscale-video", body)))
    data = answer.at("data")
    billed = answer.text_at("data", "input", "billed_seconds")
    return Submitted(
        job=str(data["id"]),
        model=order.model,
        status=str(data["status"]),
        price=Price(Decimal(str(answer.at("data", "creditsUsed"))), UNIT),
        billed=Decimal(billed) if billed else None,
    )


def poll(job: Submitted) -> Steps[Progress]:
    """`GET /tasks/{id}`."""
    answer = _accepted((yield Request("GET", f"/api/v1/tasks/{job.job}")))
    status = str(answer.at("data", "status"))
    return Progress(
        status=status,
        state=STATES.get(status, "processing"),
        output=answer.text_at("data", "result", "url"),
        error=answer.text_at("data", "error", "message"),
    )


def _accepted(answer: Answer) -> Answer:
    return accepted(answer, ("error", "message"), code=("error", "code"))


ADAPTER = Adapter(provider="vicsee", authorise=authorise, upload=upload, submit=submit, poll=poll)
