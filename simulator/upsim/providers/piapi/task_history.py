"""`GET /api/open/tasks/histories`: the account's tasks, newest first, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from upsim.core.call import Call, Reply
from upsim.core.checks import Violation
from upsim.core.instants import SECOND
from upsim.core.jobs import Job
from upsim.providers.piapi import wire
from upsim.providers.piapi.query_parameters import whole

_NUMBERS = ("page", "page_size", "start_time", "end_time")


@dataclass(frozen=True, slots=True)
class Selection:
    """The requested page of rows, and its time range in Unix seconds (both ends inclusive)."""

    page: int
    size: int
    model: str
    start: int | None
    end: int | None


def read_selection(call: Call) -> Selection | Violation:
    """The query parameters, all optional; a page size above the limit becomes the limit."""
    query = call.query()
    numbers: dict[str, int | None] = {}
    for name in _NUMBERS:
        value = whole(query, name)
        if isinstance(value, Violation):
            return value
        numbers[name] = value
    default = int(call.rules.texts["history_page_size"])
    size = default if numbers["page_size"] is None else numbers["page_size"]
    return Selection(
        page=max(1, numbers["page"] or 1),
        size=min(max(1, size), call.rules.wholes["history_page_size"]),
        model=query.get("model", ""),
        start=numbers["start_time"],
        end=numbers["end_time"],
    )


def history_selection(call: Call) -> Violation | None:
    """The numeric query parameters are valid numbers."""
    selection = read_selection(call)
    return selection if isinstance(selection, Violation) else None


def histories(call: Call) -> Reply:
    """Return a page of the history, with the rows in `data.data`."""
    selection = cast("Selection", read_selection(call))  # the check `history_selection` read it
    jobs = [job for job in call.sandbox.jobs_of(call.who) if _selected(call, job, selection)]
    first = (selection.page - 1) * selection.size
    shown = jobs[::-1][first : first + selection.size]
    numbers = _numbers(call)
    data = {
        "data": [_row(call, job, numbers[job.id]) for job in shown],
        "page": selection.page,
        "size": selection.size,
        "total": len(jobs),
    }
    return wire.success(call, data)


def _selected(call: Call, job: Job, selection: Selection) -> bool:
    seconds = job.accepted.at // SECOND
    names = ("", job.accepted.model, _family(call, job))
    return (
        selection.model in names
        and (selection.start is None or seconds >= selection.start)
        and (selection.end is None or seconds <= selection.end)
    )


def _family(call: Call, job: Job) -> str:
    return str(call.rules.baseline.models[job.accepted.model].facts["family"].value)


def _numbers(call: Call) -> dict[str | None, int]:
    """Return the row number of each task, which is the number of its charge in the ledger."""
    entries = call.sandbox.entries_of(call.who)
    return {entry.job: entry.number for entry in entries if entry.kind == "charge"}


def _row(call: Call, job: Job, number: int) -> dict[str, object]:
    accepted = job.accepted
    model = call.rules.baseline.models[accepted.model]
    changed = job.moves[-1].at if job.moves else accepted.at
    return {
        "id": number,
        "account_id": accepted.account,
        "api_key_id": accepted.account,
        "task_id": job.id,
        "task_model": _family(call, job),
        "action": model.facts["task_type"].value,
        "status": wire.status(call, job),
        "service_mode": accepted.inputs["service_mode"],
        "usage": wire.consumed(call, job),
        "usage_type": call.rules.texts["usage_type"],
        "detail": wire.error(job) if job.failure else {},
        "fixed": False,
        "created_at": wire.moment(call, accepted.at),
        "updated_at": wire.moment(call, changed),
        "deleted_at": None,
    }
