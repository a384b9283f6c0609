"""The adapter of PiAPI: it sends the video as base64 inside the task."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

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

TASK = "/api/v1/task"
TASK_TYPE = "upscale"
FAMILY = "video_toolkit"
UNIT = "point"
SECRET_HEADER = "x-webhook-secret"  # noqa: S105 - the name of a header
READING = ErrorFormat(
    texts=(("message",),),
    status=("code",),
    meanings=(
        ErrorMeaning("media", "failed to get valid video"),
        ErrorMeaning("media", "invalid video"),
        ErrorMeaning("balance", "insufficient credits"),
    ),
)
STATES: Mapping[str, State] = {
    "pending": "waiting",
    "staged": "waiting",
    "processing": "processing",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "failed",
}


def authorise(key: str) -> Mapping[str, str]:
    """Return the header `x-api-key`."""
    return {"x-api-key": key}


def submit(order: AdapterRequest) -> Steps[Job]:
    """`POST /api/v1/task`; `meta.usage.consume` of the response is the price.

    The video is a URL or a data URL. The upload host would accept files too, but it refuses
    containers other than its own without giving a reason.
    If the response has the form that the provider's page shows, it has only the id.
    """
    body: dict[str, object] = {
        "model": order.model,
        "task_type": TASK_TYPE,
        "input": {"video": order.source, **order.options},
    }
    if order.webhook is not None:
        hook = {"endpoint": order.webhook.url, "secret": order.webhook.secret or ""}
        body["config"] = {"webhook_config": hook}
    answer = READING.accepted((yield Request("POST", TASK, body, cost="paid")))
    place = ("task_id",) if answer.text_at("task_id") else ("data", "task_id")
    return Job(
        id=answer.word_at(*place),
        model=order.model,
        status=answer.text_at("data", "status"),
        price=_price(answer),
        raw=answer.raw,
    )


def charged(job: Job) -> Steps[Money | None]:
    """Return the price that the task itself reports."""
    answer = READING.accepted((yield Request("GET", _path(job))))
    return _price(answer)


def poll(job: Job) -> Steps[Progress]:
    """`GET /api/v1/task/{id}`; a failed task also gets 200, and its cost is 0 after the refund."""
    answer = READING.accepted((yield Request("GET", _path(job))))
    return _progress(answer)


def webhook(received: ReceivedWebhook) -> WebhookEvent:
    """Verify a webhook by the secret in its header; the body has the task and an unsigned time.

    The secret proves who sent the webhook. Nothing proves when it was sent.
    """
    given = received.header(SECRET_HEADER)
    if not hmac.compare_digest(given.encode(errors="surrogatepass"), received.secret.encode()):
        raise WebhookError(
            f"the header {SECRET_HEADER} is wrong: it is not the secret of this webhook"
        )
    answer = received.answer
    second = answer.number_at("timestamp")
    progress = _progress(answer)
    return WebhookEvent(
        "piapi",
        answer.word_at("data", "task_id"),
        progress,
        at=None if second is None else int(second),
        raw=progress.raw,
    )


def cancel(job: Job) -> Steps[None]:
    """`DELETE /api/v1/task/{id}`, while it is pending."""
    READING.accepted((yield Request("DELETE", _path(job), cost="free")))


def balance() -> Steps[Money]:
    """`GET /account/info`: the points of the wallet."""
    answer = READING.accepted((yield Request("GET", "/account/info")))
    points = answer.number_at("data", "wallet", "point_remain")
    if points is None:
        raise ProtocolError("data.wallet.point_remain is no number")
    return Money(points, UNIT)


def jobs(limit: int) -> Steps[tuple[Job, ...]]:
    """`GET /api/open/tasks/histories`: the latest tasks, without their videos."""
    path = f"/api/open/tasks/histories?page=1&page_size={limit}&model={FAMILY}"
    answer = READING.accepted((yield Request("GET", path)))
    return tuple(
        Job(
            id=str(row["task_id"]),
            model=str(row.get("task_model", FAMILY)),
            provider="piapi",
            status=str(row.get("status")),
            price=None if (used := number(row.get("usage"))) is None else Money(used, UNIT),
            raw=row,
        )
        for row in answer.rows_at("data", "data")
        if row.get("task_id")
    )


def is_order(job: Job, order: AdapterRequest) -> Steps[bool]:
    """Return whether a task was made with this video, by the input in the task's response.

    If the video was sent as base64, that input is a PiAPI URL, which does not identify the video.
    Every such task may therefore be the right task.
    """
    answer = READING.accepted((yield Request("GET", _path(job))))
    echoed = answer.text_at("data", "input", "video") or ""
    sent_whole = order.source.startswith("data:")
    return echoed == order.source or (sent_whole and "/uploads/" in echoed)


def _path(job: Job) -> str:
    return f"{TASK}/{path_segment(job.id)}"


def _progress(answer: ProviderResponse) -> Progress:
    status = answer.word_at("data", "status")
    state = STATES.get(status.lower(), "unknown")
    consumed = _price(answer)
    return Progress(
        status=status,
        state=state,
        output=link(answer.text_at("data", "output", "video_url")),
        error=answer.text_at("data", "error", "message") or None,
        code=answer.text_at("data", "error", "code") if state == "failed" else None,
        refunded=None if state != "failed" or consumed is None else not consumed.amount,
        raw=answer.raw,
    )


def _price(answer: ProviderResponse) -> Money | None:
    consumed = answer.number_at("data", "meta", "usage", "consume")
    return None if consumed is None else Money(consumed, UNIT)


ADAPTER = Adapter(
    provider="piapi",
    authorise=authorise,
    hand_in=UploadMethod(by="data_url", limit="video_bytes"),
    submit=submit,
    charged=charged,
    poll=poll,
    balance=balance,
    cancel=cancel,
    jobs=jobs,
    is_order=is_order,
    cadence=PollingCadence(first=1.0, factor=1.5, most=30.0),  # the official command line
    webhooks="secret",
    webhook=webhook,
    lookup="find(error) looks for it in the account's history.",
)
