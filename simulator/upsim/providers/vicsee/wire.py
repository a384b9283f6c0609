"""How VicSee spells things: envelope, status words, ids, times, rate-limit headers."""

from __future__ import annotations

from upsim.core.call import Call, Reply
from upsim.core.checks import Violation
from upsim.core.instants import iso
from upsim.core.jobs import Job
from upsim.core.media import Media
from upsim.core.pricing import plain
from upsim.core.states import State
from upsim.core.world import Stream

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


def success(data: object) -> Reply:
    """HTTP 200 and the success envelope."""
    return Reply(200, {"success": True, "data": data})


def problem(call: Call, violation: Violation) -> Reply:
    """The error envelope of a catalogue entry."""
    rule = call.rules.errors[violation.name]
    error = {"code": rule.code, "message": rule.message.format_map(violation.values)}
    return Reply(rule.status, {"success": False, "error": error})


def draw_id(stream: Stream) -> str:
    """`task_` and eight letters and digits."""
    bits = stream.getrandbits(64)
    letters = []
    for _ in range(8):
        bits, index = divmod(bits, len(_ALPHABET))
        letters.append(_ALPHABET[index])
    return "task_" + "".join(letters)


def seconds_text(media: Media) -> str:
    """The measured duration, exactly, such as `8.5s`: its ceiling is what was billed."""
    return f"{plain(media.seconds)}s"


def status(call: Call, job: Job) -> str:
    """The word for the job's state."""
    word = str(call.rules.baseline.statuses[job.state].value)
    return call.knob("completed_status") if job.state is State.COMPLETED else word


def submitted(call: Call, job: Job) -> dict[str, object]:
    """The answer of the unified endpoint; the dedicated one adds `input`."""
    return {
        "id": job.id,
        "model": job.accepted.model,
        "status": call.knob("initial_status"),
        "creditsUsed": int(job.accepted.quote.amount),
        "creditsRemaining": int(call.who.balance),
        "createdAt": iso(job.accepted.at),
    }


def task(call: Call, job: Job) -> dict[str, object]:
    """The task as the Tasks API shows it."""
    done = job.state is State.COMPLETED and not call.world.output_gone(job)
    return {
        "id": job.id,
        "model": job.accepted.model,
        "status": status(call, job),
        "mediaType": "video",
        "prompt": None,
        "createdAt": iso(job.accepted.at),
        "result": {"url": output_url(call, job), "type": "video"} if done else None,
        "error": _error(job),
    }


def output_url(call: Call, job: Job) -> str:
    """Where the finished file is served."""
    return call.origin.media(f"outputs/{job.id}.mp4")


def rate_limit_headers(call: Call, reply: Reply) -> tuple[tuple[bytes, bytes], ...]:
    """Limit, remaining and reset on every answer to an account whose plan is limited."""
    if call.account is None:
        return ()
    rates = call.rules.baseline.plans[call.account.plan].rates
    window = call.world.window(call.account, rates[0].name) if rates else None
    if window is None:
        return ()
    names = call.rules.baseline.headers
    taken = window.used + len(call.uses)
    values = {
        "limit": str(window.limit),
        "remaining": str(max(0, window.limit - taken)),
        "reset": iso(window.resets_at),
    }
    return tuple((str(names[k].value).encode(), v.encode()) for k, v in values.items())


def _error(job: Job) -> dict[str, object] | None:
    failure = job.failure
    if failure is None:
        return None
    return {"code": failure.code, **dict(failure.extra), "message": failure.message}
