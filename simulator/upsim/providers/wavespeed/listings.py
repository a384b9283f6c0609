"""Lists and sums (predictions, billing rows, usage), computed from the jobs and the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from hashlib import blake2s
from typing import TypeVar

from upsim.core.call import Call, Reply
from upsim.core.instants import Instant, iso
from upsim.core.jobs import Job
from upsim.core.ledger import Entry
from upsim.core.pricing import plain
from upsim.core.states import JobState
from upsim.providers.wavespeed import wire
from upsim.providers.wavespeed.checks import own_job
from upsim.providers.wavespeed.models_and_quotes import base_price
from upsim.providers.wavespeed.parameters import milliseconds, moment, text, texts, whole

_NANOSECONDS_PER_MICROSECOND = 1000
_LETTERS_OF_A_DATE = 10

Row = tuple[Entry, Job]
Item = TypeVar("Item")


def predictions(call: Call) -> Reply:
    """`POST /predictions`: the account's predictions, newest first, without deleted predictions."""
    jobs = [job for job in call.sandbox.jobs_of(call.who) if _is_listed(call, job)]
    jobs.reverse()
    with_inputs = call.inputs.get("include_inputs") is True
    items = [_prediction(call, job, with_inputs=with_inputs) for job in _page_of(call, jobs)]
    return _answer(call, items, len(jobs))


def billings(call: Call) -> Reply:
    """`POST /billings/search`: one row for each charge and each refund."""
    rows = [row for row in _rows(call) if _is_searched(call, *row)]
    if text(call, "sort") != call.rules.texts["sort_ascending"]:
        rows.reverse()
    return _answer(call, [_billing(call, *row) for row in _page_of(call, rows)], len(rows))


def usage(call: Call) -> Reply:
    """`POST /user/usage_stats`: the charges minus refunds, by model and by day."""
    jobs = [job for job in call.sandbox.jobs_of(call.who) if _is_used(call, job)]
    models = _grouped(jobs, lambda job: job.accepted.model)
    days = _grouped(jobs, lambda job: _date(job.accepted.at))
    summary = {
        "total_cost": _cost(call, jobs),
        "total_requests": len(jobs),
        "success_requests": sum(job.entered(JobState.COMPLETED) is not None for job in jobs),
    }
    shown = {
        "per_model_usage": [_model_usage(call, *group) for group in models.items()],
        "daily_usage": [_daily_usage(call, *group) for group in days.items()],
        "summary": summary,
    }
    return wire.success(call, shown)


def _page_of(call: Call, items: Sequence[Item]) -> Sequence[Item]:
    size = whole(call, "page_size")
    start = (whole(call, "page") - 1) * size
    return items[start : start + size]


def _answer(call: Call, items: list[dict[str, object]], total: int) -> Reply:
    page, form = whole(call, "page"), call.rules.knobs["list_totals"]
    shown: dict[str, object] = {"page": page}
    if form != "has_more":
        shown["total"] = total
    if form != "total":
        shown["has_more"] = page * whole(call, "page_size") < total
    return wire.success(call, {**shown, "items": items})


def _within(at: Instant, start: Instant | None, end: Instant | None) -> bool:
    return (start is None or at >= start) and (end is None or at <= end)


# Predictions


def _is_listed(call: Call, job: Job) -> bool:
    model, status = text(call, "model"), text(call, "status")
    before = moment(call, "created_before")
    return (
        job.state is not JobState.DELETED
        and model in (None, job.accepted.model)
        and status in (None, wire.status(call, job))
        and _within(job.accepted.at, moment(call, "created_after"), None)
        and (before is None or job.accepted.at < before)
    )


def _prediction(call: Call, job: Job, *, with_inputs: bool) -> dict[str, object]:
    inputs = {"inputs": dict(job.accepted.inputs)} if with_inputs else {}
    return wire.record(call, job) | inputs


# Billing


def _rows(call: Call) -> list[Row]:
    """Return the ledger's charges and refunds with their jobs, without entries of 0."""
    found = [(e, own_job(call, e.job)) for e in call.sandbox.entries_of(call.who) if e.job]
    return [(entry, job) for entry, job in found if job is not None and entry.amount]


def _is_searched(call: Call, entry: Entry, job: Job) -> bool:
    wanted = texts(call, "prediction_uuids")
    return (
        text(call, "billing_type") in (None, _billing_type(call, entry))
        and (not wanted or job.id in wanted)
        and text(call, "model_uuid") in (None, job.accepted.model)
        and text(call, "access_key_uuid") in (None, _access_key(call))
        and _within(entry.at, milliseconds(call, "start_time"), milliseconds(call, "end_time"))
    )


def _billing(call: Call, entry: Entry, job: Job) -> dict[str, object]:
    amount = plain(abs(entry.amount))
    changed = job.ended_at if entry.kind == "charge" and job.ended_at else entry.at
    return {
        "uuid": _uuid(f"{entry.kind} of {job.id}"),
        "access_key_id": _access_key(call),
        "access_key_name": call.who.name,
        "billing_type": _billing_type(call, entry),
        "price": amount,
        "created_at": iso(entry.at),
        "updated_at": iso(changed),
        "order": {
            "uuid": _uuid(f"order of {entry.kind} of {job.id}"),
            "state": wire.words(call, "order_states")["settled" if job.ended else "open"],
            "price": amount,
            "origin_price": amount,
            "status": "",
            "ak_id": 0,
        },
        "prediction": {
            "uuid": job.id,
            "model_uuid": job.accepted.model,
            "status": wire.status(call, job),
        },
    }


def _billing_type(call: Call, entry: Entry) -> str:
    return wire.words(call, "billing_types")[entry.kind]


def _access_key(call: Call) -> str:
    return f"{call.who.number}_{call.who.opened_at * _NANOSECONDS_PER_MICROSECOND}"


def _uuid(name: str) -> str:
    return blake2s(name.encode(), digest_size=16).hexdigest()


# Usage


def _is_used(call: Call, job: Job) -> bool:
    return text(call, "model_uuid") in (None, job.accepted.model) and _within(
        job.accepted.at, moment(call, "start_time"), moment(call, "end_time")
    )


def _model_usage(call: Call, name: str, jobs: list[Job]) -> dict[str, object]:
    model = call.rules.baseline.models[name]
    return {
        "model_uuid": name,
        "model_type": model.facts["type"].value,
        "unit_price": base_price(call, model),
        "total_cost": _cost(call, jobs),
        "total_count": len(jobs),
        "last_used_date": _date(jobs[-1].accepted.at),
    }


def _daily_usage(call: Call, day: str, jobs: list[Job]) -> dict[str, object]:
    models = _grouped(jobs, lambda job: job.accepted.model)
    return {
        "date": day,
        "amount": _cost(call, jobs),
        "count": len(jobs),
        "models": [
            {"model_uuid": name, "amount": _cost(call, some), "count": len(some)}
            for name, some in models.items()
        ],
    }


def _cost(call: Call, jobs: Sequence[Job]) -> Decimal:
    paid = (job.accepted.quote.amount - call.sandbox.refunded(job) for job in jobs)
    return plain(sum(paid, Decimal(0)))


def _grouped(jobs: Sequence[Job], key: Callable[[Job], str]) -> dict[str, list[Job]]:
    """Return the jobs grouped by a key; the keys have the order of their first job."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(key(job), []).append(job)
    return groups


def _date(at: Instant) -> str:
    return iso(at)[:_LETTERS_OF_A_DATE]
