"""The wire format of PiAPI: envelope, task object, status words, ids, times, errors."""

from __future__ import annotations

from functools import cache

from upsim.core.call import Call, Reply
from upsim.core.checks import Violation
from upsim.core.instants import Instant, from_iso, iso
from upsim.core.jobs import Job
from upsim.core.random_source import RandomSource
from upsim.core.states import JobState
from upsim.core.uuids import uuid4_text
from upsim.providers.piapi.base64_files import is_web_address


def success(call: Call, data: object, **beside: object) -> Reply:
    """Return HTTP 200 and the envelope, whose `code` is always the HTTP status."""
    message = call.rules.texts["success_message"]
    return Reply(200, {**beside, "code": 200, "data": data, "message": message})


def created(call: Call, job: Job) -> Reply:
    """Return the response to a create: the documented bare id, the observed envelope, or both."""
    form = call.rules.knobs["response_form"]
    if form == "bare":
        return Reply(200, {"task_id": job.id})
    beside = {"task_id": job.id} if form == "superset" else {}
    return success(call, task(call, job), **beside)


def problem(call: Call, violation: Violation) -> Reply:
    """The response for a catalogue error: the envelope, or plain text if the entry says so."""
    rule = call.rules.errors[violation.name]
    message = rule.message.format_map(violation.values)
    headers = {k.lower(): v.format_map(violation.values) for k, v in rule.headers.items()}
    plain = headers.pop("content-type", None)
    raw = tuple((name.encode(), value.encode()) for name, value in headers.items())
    if plain is not None:
        return Reply(rule.status, message.encode(), raw, content_type=plain.encode())
    if call.operation == "ephemeral_resource":
        return Reply(rule.status, {"code": rule.code, "message": message}, raw)
    return Reply(rule.status, {"code": rule.code, "data": None, "message": message}, raw)


def draw_id(stream: RandomSource) -> str:
    """A random UUID (version 4)."""
    return uuid4_text(stream.getrandbits(128))


def status(call: Call, job: Job) -> str:
    """Return the status word for the job's state."""
    rules, state = call.rules, job.state
    key = "staged" if state is JobState.WAITING and is_staged(call, job) else state
    turned = rules.turned("cancelled_status") if state is JobState.CANCELLED else None
    word = turned or str(rules.baseline.statuses[key].value)
    return word.capitalize() if rules.knobs["status_case"] == "capitalised" else word


def is_staged(call: Call, job: Job) -> bool:
    """Return whether the task waits because the plan's concurrency limit is reached."""
    waiting = not job.started and job.state is JobState.WAITING
    return waiting and call.rules.knobs["over_cap"] == "stage"


def task(call: Call, job: Job) -> dict[str, object]:
    """Return the task object of create, get and webhook."""
    accepted = job.accepted
    model = call.rules.baseline.models[accepted.model]
    return {
        "task_id": job.id,
        "model": accepted.model,
        "task_type": model.facts["task_type"].value,
        "status": status(call, job),
        "config": _config(job),
        "input": {"video": _video(job)},
        "output": _output(call, job),
        "meta": _meta(call, job),
        "detail": None,
        "logs": [] if call.rules.knobs["logs"] == "list" else None,
        "error": error(job),
    }


def error(job: Job) -> dict[str, object]:
    """Return the error object of a task; a task without an error has one too, with code 0."""
    failure = job.failure
    if failure is None:
        return {"code": 0, "raw_message": "", "message": "", "detail": None}
    raw = dict(failure.extra).get("raw_message", failure.message)
    return {"code": failure.code, "raw_message": raw, "message": failure.message, "detail": None}


def consumed(call: Call, job: Job) -> int:
    """Return the points that the task costs; 0 after a refund."""
    amount = job.accepted.quote.amount
    if job.ended:
        amount -= call.sandbox.refunded(job)
    return int(amount)


def moment(call: Call, instant: Instant | None) -> str:
    """Return an RFC 3339 time with as many digits as needed; None becomes a time in the year 1."""
    if instant is None:
        return call.rules.texts["not_yet"]
    zone = call.rules.knobs["time_zone"]
    return iso(instant + _ahead(zone), 6)[:-1].rstrip("0").rstrip(".") + zone


@cache
def _ahead(zone: str) -> Instant:
    """Return the offset of a zone such as `+08:00`; cached, because few zones are used."""
    return -from_iso(f"1970-01-01T00:00:00{zone}")


def _video(job: Job) -> object:
    """Return a URL unchanged, of any length; return any other video as it was stored."""
    source = job.accepted.source
    return source if is_web_address(source) else job.accepted.inputs["video"]


def _config(job: Job) -> dict[str, object]:
    webhook = job.accepted.webhook
    endpoint, secret = (webhook.url, webhook.secret) if webhook else ("", "")
    return {
        "service_mode": job.accepted.inputs["service_mode"],
        "webhook_config": {"endpoint": endpoint, "secret": secret},
    }


def _output(call: Call, job: Job) -> dict[str, object] | None:
    if job.state is not JobState.COMPLETED:
        return None
    return {"video_url": call.urls.media(f"outputs/{job.id}.mp4")}


def _meta(call: Call, job: Job) -> dict[str, object]:
    usage = {"type": call.rules.texts["usage_type"], "frozen": 0, "consume": consumed(call, job)}
    not_yet = call.rules.texts["not_yet"]
    return {
        "created_at": moment(call, job.accepted.at),
        "started_at": moment(call, job.entered(JobState.PROCESSING)) if job.moves else not_yet,
        "ended_at": moment(call, job.ended_at) if job.moves else not_yet,
        "usage": usage,
        "is_using_private_pool": False,
    }
