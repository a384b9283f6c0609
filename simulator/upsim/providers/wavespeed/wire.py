"""The wire format of WaveSpeedAI: envelope, prediction record, status words, ids, times."""

from __future__ import annotations

from collections.abc import Mapping

from upsim.core.baseline import ErrorRule
from upsim.core.call import Call, Reply
from upsim.core.checks import Violation
from upsim.core.instants import iso
from upsim.core.jobs import Job
from upsim.core.random_source import RandomSource
from upsim.core.states import TERMINAL, Failure, JobState

_CONTENT_TYPE = "Content-Type"
_FAILURES = {
    JobState.FAILED: "task_failed",
    JobState.CANCELLED: "cancelled",
    JobState.TIMEOUT: "timeout",
}
"""The error text of a task that was forced into a state without a reason."""
_MICROSECONDS_PER_MILLISECOND = 1000


def success(call: Call, data: object) -> Reply:
    """Return HTTP 200 and the success envelope, which never has a top-level `error`."""
    return Reply(200, {"code": 200, "message": call.rules.texts["success"], "data": data})


def problem(call: Call, violation: Violation) -> Reply:
    """Return the error envelope of a catalogue entry; an entry with a content type is not JSON."""
    rule = call.rules.errors[violation.name]
    message = rule.message.format_map(violation.values)
    headers = {k: v.format_map(violation.values) for k, v in rule.headers.items()}
    content_type = headers.pop(_CONTENT_TYPE, None)
    pairs = tuple((name.lower().encode(), value.encode()) for name, value in headers.items())
    if content_type is not None:
        return Reply(rule.status, message.encode(), pairs, content_type.encode())
    return Reply(rule.status, {"code": rule.code, "message": message, **rule.extra}, pairs)


def draw_id(stream: RandomSource) -> str:
    """32 lower-case hexadecimal digits, no dashes."""
    return f"{stream.getrandbits(128):032x}"


def status(call: Call, job: Job) -> str:
    """Return the status word of a job; `created` if it waits for the concurrency limit."""
    return _word(call, job, job.state)


def _word(call: Call, job: Job, state: JobState) -> str:
    if (
        state is JobState.WAITING
        and job.started
        and call.rules.knobs["first_status"] == "processing"
    ):
        state = JobState.PROCESSING
    return str(call.rules.baseline.statuses[state].value)


def record(call: Call, job: Job) -> dict[str, object]:
    """Return the prediction record of submits, lists and webhooks."""
    accepted, state, knobs = job.accepted, job.state, call.rules.knobs
    milliseconds = inference(job) if state in TERMINAL else 0
    failure = _failure(call, job, state)
    null = knobs["empty_fields"] == "null"
    shown: dict[str, object] = {
        "id": accepted.job,
        "model": accepted.model,
        "outputs": _outputs(call, job, state) or (None if null else []),
        "urls": {"get": get_url(call, job)},
        "has_nsfw_contents": [False] if state is JobState.COMPLETED else [],
        "status": _word(call, job, state),
        "created_at": iso(accepted.at, int(knobs["created_at_digits"])),
        "error": failure.message if failure else None if null else "",
        "executionTime": milliseconds,
        "timings": {"inference": milliseconds},
    }
    if failure is not None:
        shown["code"] = failure.code
    return shown


def result(call: Call, job: Job) -> dict[str, object]:
    """Return the record as the result endpoint shows it, in one of its two documented forms."""
    shown = record(call, job)
    if call.rules.knobs["result_outputs"] == "string":
        none = None if call.rules.knobs["empty_fields"] == "null" else ""
        shown["outputs"] = next(iter(outputs(call, job)), none)
    if call.rules.knobs["result_nsfw"] == "absent":
        del shown["has_nsfw_contents"]
    return shown


def outputs(call: Call, job: Job) -> list[str]:
    """Return one URL for a completed job, and an empty list in any other state."""
    return _outputs(call, job, job.state)


def _outputs(call: Call, job: Job, state: JobState) -> list[str]:
    done = state is JobState.COMPLETED
    return [call.urls.media(f"outputs/{job.id}.mp4")] if done else []


def get_url(call: Call, job: Job) -> str:
    """Return the URL of the result, always with the path of version 3."""
    ending = "/result" if call.rules.knobs["get_url"] == "result" else ""
    return call.urls.api(f"/api/v3/predictions/{job.id}{ending}")


def inference(job: Job) -> int:
    """Return the processing time in ms; 0 before the end, and for a job that never started."""
    ended = job.ended_at
    started = None if ended is None else job.entered(JobState.PROCESSING)
    if ended is None or started is None:
        return 0
    return (ended - started) // _MICROSECONDS_PER_MILLISECOND


def words(call: Call, name: str) -> Mapping[str, str]:
    """Return a fact of the baseline that maps names to words."""
    table = call.rules.fact(name)
    return {k: str(v) for k, v in table.items()} if isinstance(table, Mapping) else {}


def _failure(call: Call, job: Job, state: JobState) -> Failure | ErrorRule | None:
    if state not in TERMINAL:
        return None
    name = _FAILURES.get(state)
    return job.failure or (call.rules.failures[name] if name else None)
