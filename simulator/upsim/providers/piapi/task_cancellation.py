"""Cancel tasks: one by its id, or all pending tasks of a family before a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from upsim.core import causes
from upsim.core.call import Call, Reply
from upsim.core.checks import Violation
from upsim.core.instants import SECOND, Instant
from upsim.core.job_spec import failure_of
from upsim.core.jobs import Job
from upsim.core.states import JobState
from upsim.providers.piapi import wire
from upsim.providers.piapi.query_parameters import bad_query, whole


@dataclass(frozen=True, slots=True)
class Bulk:
    """The tasks of a bulk cancel: their family, and the time before which they were accepted."""

    family: str
    before: Instant


def read_bulk(call: Call) -> Bulk | Violation:
    """`created_before` (Unix seconds) and `model` (a family), both required."""
    query = call.query()
    before, family = whole(query, "created_before"), query.get("model", "")
    if isinstance(before, Violation):
        return before
    if before is None:
        return bad_query(query, "created_before", "Unix seconds")
    known = cast("tuple[str, ...]", call.rules.fact("cancel_families"))
    if family not in known:
        return bad_query(query, "model", " or ".join(map(causes.quoted, known)))
    return Bulk(family=family, before=before * SECOND)


def bulk_of(call: Call) -> Bulk:
    """The selection of a request that passed the check `bulk_selection`."""
    return cast("Bulk", read_bulk(call))


def bulk_selection(call: Call) -> Violation | None:
    """Both parameters of a bulk cancel are present and valid."""
    selection = read_bulk(call)
    return selection if isinstance(selection, Violation) else None


def cancel(call: Call) -> Reply:
    """Cancel a task: `DELETE /api/v1/task/{id}`."""
    _cancel(call, call.target)
    return wire.success(call, None)


def cancel_many(call: Call) -> Reply:
    """`DELETE /api/v1/tasks`: cancel the selected tasks that are pending; keep all other tasks."""
    selection = bulk_of(call)
    if selection.family == call.rules.texts["cancel_all"]:
        for job in list(call.sandbox.jobs_of(call.who)):
            if job.state is JobState.WAITING and job.accepted.at < selection.before:
                _cancel(call, job)
    return wire.success(call, None)


def _cancel(call: Call, job: Job) -> None:
    call.sandbox.move(job, JobState.CANCELLED, failure_of(call.rules.failures["cancelled"]))
