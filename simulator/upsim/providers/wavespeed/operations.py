"""The task and account endpoints of WaveSpeedAI, after their checks have passed."""

from __future__ import annotations

from msgspec.structs import replace

from upsim.core.call import Call, Hold, Reply
from upsim.core.checks import Violation
from upsim.core.instants import SECOND, Instant
from upsim.core.jobs import Job
from upsim.core.pricing import plain
from upsim.core.states import JobState
from upsim.providers.wavespeed import webhooks, wire
from upsim.providers.wavespeed.checks import SYNC, own_job
from upsim.providers.wavespeed.parameters import texts


def submit(call: Call) -> Reply | Hold:
    """`POST /{model}`: create a task; in sync mode the response waits for the end of the task."""
    call.job = call.sandbox.accept(call, inputs=call.inputs, webhook=webhooks.requested(call))
    if call.inputs.get(SYNC) is True:
        return Hold(call.job.id, float(call.rules.limits["sync_seconds"]), held)
    return wire.success(call, wire.record(call, call.job))


def held(call: Call, timed_out: bool) -> Reply:  # noqa: FBT001 - the form that `Hold` wants
    """Return the response to a submit in sync mode: the record, or a time-out error."""
    job = own_job(call, call.target.id) or call.target
    if not timed_out:
        return wire.success(call, wire.record(call, job))
    rule = call.rules.errors["sync_timed_out"]
    values = {"seconds": call.rules.wholes["sync_seconds"]}
    if rule.headers:
        return wire.problem(call, Violation(rule.name, values))
    waited = values["seconds"] * SECOND // call.sandbox.pace
    shown = wire.record(call, _as_of(job, job.accepted.at + waited))
    status = call.rules.baseline.statuses[JobState.PROCESSING].value
    late = {"status": status, "code": rule.code, "error": rule.message.format_map(values)}
    return wire.success(call, shown | late)


def _as_of(job: Job, instant: Instant) -> Job:
    """Return the job as it was at a time that the clock may already have passed."""
    return replace(job, moves=tuple(move for move in job.moves if move.at <= instant))


def result(call: Call) -> Reply:
    """`GET /predictions/{id}/result` and `GET /predictions/{id}`."""
    return wire.success(call, wire.result(call, call.target))


def delete(call: Call) -> Reply:
    """`POST /predictions/delete`: delete tasks of the account; each task is counted once."""
    found = [own_job(call, name) for name in dict.fromkeys(texts(call, "ids"))]
    present = [job for job in found if job is not None and job.state is not JobState.DELETED]
    for job in present:
        call.sandbox.move(job, JobState.DELETED)
    return wire.success(call, {"deleted_count": len(present)})


def balance(call: Call) -> Reply:
    """`GET /balance`: the balance in dollars, as a number."""
    return wire.success(call, {"balance": plain(call.who.balance)})


def webhook_secret(call: Call) -> Reply:
    """Return the webhook secret: `GET /webhook/secret`."""
    return wire.success(call, {"secret": webhooks.secret(call)})
