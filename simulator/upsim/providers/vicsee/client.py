"""The adapter of VicSee: upload and PUT, the dedicated endpoint, the Tasks API."""

from __future__ import annotations

from collections.abc import Mapping

from upsim.client.adapter import (
    Adapter,
    AdapterRequest,
    Billed,
    ErrorFormat,
    ErrorMeaning,
    File,
    Job,
    Money,
    PollingCadence,
    Progress,
    ProtocolError,
    Request,
    State,
    Steps,
    UploadMethod,
    link,
    path_segment,
)

UNIT = "credit"
READING = ErrorFormat(
    texts=(("error", "message"),),
    code=("error", "code"),
    success="success",
    meanings=(ErrorMeaning("media", "PROBE_FAILED"), ErrorMeaning("media", "VIDEO_TOO_LONG")),
)
STATES: Mapping[str, State] = {
    "pending": "waiting",
    "queued": "waiting",
    "processing": "processing",
    "completed": "completed",
    "success": "completed",
    "failed": "failed",
}


def authorise(key: str) -> Mapping[str, str]:
    """Return the header with a bearer token."""
    return {"Authorization": f"Bearer {key}"}


def upload(file: File) -> Steps[str]:
    """Request a ticket by `POST /upload`; then send the bytes by PUT, without the key."""
    wanted = {"contentType": file.content_type, "sizeBytes": file.size}
    ticket = READING.accepted((yield Request("POST", "/api/v1/upload", wanted, cost="free")))
    headers = {"Content-Type": file.content_type}
    address = ticket.word_at("data", "uploadUrl")
    READING.accepted(
        (yield Request("PUT", address, content=file.content, headers=headers, cost="free"))
    )
    return ticket.word_at("data", "publicUrl")


def submit(order: AdapterRequest) -> Steps[Job]:
    """`POST /tools/upscale-video`, whose response shows how the cost was computed."""
    body = {"video_url": order.source, **{k: str(v) for k, v in order.options.items()}}
    answer = READING.accepted(
        (yield Request("POST", "/api/v1/tools/upscale-video", body, cost="paid"))
    )
    used = answer.number_at("data", "creditsUsed")
    billed = answer.number_at("data", "input", "billed_seconds")
    return Job(
        id=answer.word_at("data", "id"),
        model=order.model,
        status=answer.text_at("data", "status"),
        price=None if used is None else Money(used, UNIT),
        billed=None if billed is None else Billed(billed, "seconds"),
        raw=answer.raw,
    )


def poll(job: Job) -> Steps[Progress]:
    """Poll a task: `GET /tasks/{id}`. The response does not mention refunds."""
    path = f"/api/v1/tasks/{path_segment(job.id)}"
    answer = READING.accepted((yield Request("GET", path)))
    status = answer.word_at("data", "status")
    return Progress(
        status=status,
        state=STATES.get(status.lower(), "unknown"),
        output=link(answer.text_at("data", "result", "url")),
        error=answer.text_at("data", "error", "message"),
        code=answer.text_at("data", "error", "code"),
        raw=answer.raw,
    )


def balance() -> Steps[Money]:
    """`GET /credits`: one number, the sum of all sources."""
    answer = READING.accepted((yield Request("GET", "/api/v1/credits")))
    number = answer.number_at("data", "credits")
    if number is None:
        raise ProtocolError("data.credits is no number")
    return Money(number, UNIT)


ADAPTER = Adapter(
    provider="vicsee",
    authorise=authorise,
    hand_in=UploadMethod(by="upload", limit="upload_video_bytes"),
    upload=upload,
    submit=submit,
    poll=poll,
    balance=balance,
    cadence=PollingCadence(first=1.0, factor=1.5, most=10.0),  # the Tasks page
    lookup="VicSee lists no tasks: compare balance() with what it was.",
)
