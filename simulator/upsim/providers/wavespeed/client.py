"""WaveSpeedAI as a client speaks to it: the two-step upload, predictions, the billing records."""

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

V3 = "/api/v3"
UNIT = "USD"
SWITCHES: Mapping[str, object] = {"true": True, "false": False}
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
    """A bearer token."""
    return {"Authorization": f"Bearer {key}"}


def upload(file: File) -> Steps[str]:
    """A ticket by `POST /media/uploads`, then the bytes by PUT with the ticket's headers."""
    wanted = {
        "filename": file.name,
        "size": len(file.content),
        "content_type": file.content_type,
    }
    ticket = _accepted((yield Request("POST", f"{V3}/media/uploads", wanted)))
    address = str(ticket.at("data", "upload", "url"))
    headers = {str(k): str(v) for k, v in ticket.at("data", "upload", "headers").items()}
    _accepted((yield Request("PUT", address, content=file.content, headers=headers)))
    return str(ticket.at("data", "download_url"))


def submit(order: Order) -> Steps[Submitted]:
    """`POST /api/v3/{model}`; the price is in the job's billing record, which is asked for next."""
    options = {name: SWITCHES.get(value, value) for name, value in order.options.items()}
    body = {"video": order.source, **options}
    answer = _accepted((yield Request("POST", f"{V3}/{order.model}", body)))
    job = str(answer.at("data", "id"))
    wanted = {"page": 1, "page_size": 1, "billing_type": "deduct", "prediction_uuids": [job]}
    bills = yield Request("POST", f"{V3}/billings/search", wanted)
    rows = bills.at("data", "items") if bills.ok else []
    prices = [Price(Decimal(str(row["price"])), UNIT) for row in rows]
    return Submitted(
        job=job,
        model=order.model,
        status=str(answer.at("data", "status")),
        price=prices[0] if prices else None,
    )


def poll(job: Submitted) -> Steps[Progress]:
    """`GET /api/v3/predictions/{id}/result`; a failed task also answers 200."""
    answer = _accepted((yield Request("GET", f"{V3}/predictions/{job.job}/result")))
    status = str(answer.at("data", "status"))
    outputs = answer.at("data", "outputs") or [None]
    return Progress(
        status=status,
        state=STATES.get(status, "processing"),
        output=outputs[0],
        error=answer.text_at("data", "error") or None,
    )


def _accepted(answer: Answer) -> Answer:
    return accepted(answer, ("message",), code=("error_code",))


ADAPTER = Adapter(
    provider="wavespeed", authorise=authorise, upload=upload, submit=submit, poll=poll
)
