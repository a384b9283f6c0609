"""The wire format of VicSee: envelope, status words, ids, times, rate-limit headers."""

from __future__ import annotations

from upsim.core.call import Call, Reply
from upsim.core.checks import Violation
from upsim.core.instants import iso
from upsim.core.job_spec import failure_of
from upsim.core.jobs import Job
from upsim.core.media import Media
from upsim.core.pricing import plain
from upsim.core.random_source import RandomSource
from upsim.core.states import UNSUCCESSFUL, JobState

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_PAIRS = tuple(first + second for second in _ALPHABET for first in _ALPHABET)
_KNOBS = {JobState.WAITING: "initial_status", JobState.COMPLETED: "completed_status"}
"""The knobs that choose the words of some states."""


def success(data: object) -> Reply:
    """Return HTTP 200 and the success envelope."""
    return Reply(200, {"success": True, "data": data})


def problem(call: Call, violation: Violation) -> Reply:
    """Return the error envelope of a catalogue entry; an entry with a content type is not JSON."""
    rule, values = call.rules.errors[violation.name], violation.values
    message = rule.message.format_map(values)
    headers = {k.lower(): v.format_map(values) for k, v in rule.headers.items()}
    text = headers.pop("content-type", None)
    raw = tuple((name.encode(), value.encode()) for name, value in headers.items())
    if text is not None:
        return Reply(rule.status, message.encode(), raw, content_type=text.encode())
    error = {"code": rule.code, "message": message}
    return Reply(rule.status, {"success": False, "error": error}, raw)


def draw_id(stream: RandomSource) -> str:
    """`task_` and eight random characters (letters and digits)."""
    bits, first = divmod(stream.getrandbits(64), len(_PAIRS))
    bits, second = divmod(bits, len(_PAIRS))
    bits, third = divmod(bits, len(_PAIRS))
    return f"task_{_PAIRS[first]}{_PAIRS[second]}{_PAIRS[third]}{_PAIRS[bits % len(_PAIRS)]}"


def seconds_text(media: Media) -> str:
    """Return the exact measured duration, such as `8.5s`; billing rounds it up."""
    return f"{plain(media.seconds)}s"


def status(call: Call, job: Job) -> str:
    """Return the status word of a job; polls and submits use the same word for a queued task."""
    state = job.state
    knob = _KNOBS.get(state)
    chosen = call.rules.turned(knob) if knob else None
    return chosen or str(call.rules.baseline.statuses[state].value)


def submitted(call: Call, job: Job) -> dict[str, object]:
    """Return the response of the unified endpoint; the dedicated endpoint adds `input`."""
    return {
        "id": job.id,
        "model": job.accepted.model,
        "status": status(call, job),
        "creditsUsed": int(job.accepted.quote.amount),
        "creditsRemaining": int(call.who.balance),
        "createdAt": iso(job.accepted.at),
    }


def task(call: Call, job: Job) -> dict[str, object]:
    """Return the task as the Tasks API shows it."""
    done = has_file(call, job)
    return {
        "id": job.id,
        "model": job.accepted.model,
        "status": status(call, job),
        "mediaType": "video",
        "prompt": None,
        "createdAt": iso(job.accepted.at),
        "result": {"url": output_url(call, job), "type": "video"} if done else None,
        "error": _error(call, job),
    }


def has_file(call: Call, job: Job) -> bool:
    """Return whether the task is completed and its file still exists."""
    return job.state is JobState.COMPLETED and not call.sandbox.output_gone(job)


def output_url(call: Call, job: Job) -> str:
    """Return the URL of the finished file."""
    return call.urls.media(f"outputs/{job.id}.mp4")


def rate_limit_headers(call: Call, _reply: Reply) -> tuple[tuple[bytes, bytes], ...]:
    """Return limit, remaining and reset, for every response to an account with a rate limit."""
    if call.account is None:
        return ()
    rates = call.rules.baseline.plans[call.account.plan].rates
    window = call.sandbox.window(call.account, rates[0].name) if rates else None
    if window is None:
        return ()
    values = {
        "limit": str(window.limit),
        "remaining": str(max(0, window.limit - window.used)),
        "reset": iso(window.resets_at),
    }
    names = call.rules.header_names
    return tuple((names[key], value.encode()) for key, value in values.items())


def _error(call: Call, job: Job) -> dict[str, object] | None:
    """Return the error of a failed task; a task forced to fail without a reason gets a default."""
    if job.state not in UNSUCCESSFUL:
        return None
    failure = job.failure or failure_of(call.rules.failures["generation_failed"])
    return {"code": failure.code, **dict(failure.extra), "message": failure.message}
