"""The wire format of Venice: error bodies, status words, ids, times, URLs of files."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from upsim.core.baseline import ErrorRule
from upsim.core.call import Call, Reply
from upsim.core.checks import Violation
from upsim.core.instants import Instant
from upsim.core.job_spec import failure_of
from upsim.core.jobs import Job
from upsim.core.random_source import RandomSource
from upsim.core.states import Failure, JobState
from upsim.core.uuids import uuid4_text
from upsim.providers.venice.error_budget import count_failure, count_refusal

_WALLET_KEYS = ("x402Version", "error", "resource", "accepts", "extensions")


def problem(call: Call, violation: Violation) -> Reply:
    """Return the response for a catalogue error: a text, and `details` if one field caused it."""
    rule = call.rules.errors[violation.name]
    count_refusal(call, violation, rule.status)
    values = {"url": call.urls.api(call.path), **violation.values}
    body = error_body(call, rule, values)
    headers = tuple(
        (name.lower().encode(), text.format_map(values).encode())
        for name, text in rule.headers.items()
    )
    return Reply(rule.status, body, (*headers, *_wallet_header(call, body)))


def error_body(call: Call, rule: ErrorRule, values: Mapping[str, object]) -> dict[str, object]:
    """Return `error`, the other fields of the entry, and its code if the knob asks for it."""
    message = rule.message.format_map(values)
    extra = {name: filled(value, values) for name, value in rule.extra.items()}
    issue = extra.pop("issue", None)
    body: dict[str, object] = {"error": message, **extra}
    if isinstance(issue, Mapping):
        field = str(issue.get("path", values.get("field", "")))
        body |= _details(field, str(issue["code"]), str(issue.get("message", message)))
    if call.rules.knobs["error_code"] == "add" and rule.code is not None:
        body["code"] = rule.code
    return body


def filled(value: object, values: Mapping[str, object] | None = None) -> object:
    """Return a baseline value as JSON; names in its texts are replaced from `values`."""
    if isinstance(value, str):
        return value if values is None else value.format_map(values)
    if isinstance(value, Mapping):
        return {key: filled(item, values) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [filled(item, values) for item in value]
    return value


def draw_id(stream: RandomSource) -> str:
    """Return a random UUID."""
    return uuid4_text(stream.getrandbits(128))


def output_url(call: Call, job: Job) -> str:
    """Return the URL of the finished file, which needs no key."""
    return call.urls.media(f"outputs/{job.id}.mp4")


def milliseconds(since: Instant, until: Instant) -> int:
    """Return the whole milliseconds between two times."""
    return (until - since) // 1000


def processing(call: Call, job: Job) -> dict[str, object]:
    """Return the response for a job that is not finished."""
    return {"status": _word(call, job), **_times(call, job)}


def completed(call: Call, job: Job) -> dict[str, object]:
    """Return the response for a finished job, with the URL of its file."""
    url = output_url(call, job)
    every = call.rules.knobs["result_urls"] == "all"
    names = ("url", "video_url", "download_url") if every else ("url",)
    return {"status": _word(call, job), **dict.fromkeys(names, url), **_times(call, job)}


def finalised(call: Call, job: Job) -> dict[str, object]:
    """Return the response to `complete` for a job that has ended."""
    body: dict[str, object] = {"success": True}
    there = job.state is JobState.COMPLETED and not call.sandbox.output_gone(job)
    if there and call.rules.knobs["complete_answer"] == "url":
        body |= {"status": _word(call, job), "url": output_url(call, job)}
    return body


def failed(call: Call, job: Job) -> Reply:
    """Return the failure recorded on a job; every poll gets the same failure."""
    failure = job.failure or failure_of(call.rules.failures["inference_failed"])
    if call.rules.knobs["failure_form"] == "body":
        shown = {"status": _word(call, job), "error": failure.message, "error_code": failure.code}
        return Reply(200, shown)
    count_failure(call, failure.status)
    return Reply(failure.status, _failure_body(call, job, failure))


def _failure_body(call: Call, job: Job, failure: Failure) -> dict[str, object]:
    extra = dict(failure.extra)
    if "credits_refunded" in extra:
        extra["credits_refunded"] = call.sandbox.refunded(job) > 0
    if "type" in extra:
        return {"error": {"message": failure.message, **extra}}
    return {"error": failure.message, **extra}


def _details(field: str, code: str, message: str) -> dict[str, object]:
    if not field:
        details: dict[str, object] = {"_errors": [message]}
    else:
        details = {"_errors": [], field: {"_errors": [message]}}
    path = [field] if field else []
    return {"details": details, "issues": [{"code": code, "path": path, "message": message}]}


def _word(call: Call, job: Job) -> str:
    rules, state = call.rules, job.state
    chosen = rules.turned("completed_status") if state is JobState.COMPLETED else None
    return chosen or str(rules.baseline.statuses[state].value)


def _times(call: Call, job: Job) -> dict[str, object]:
    accepted, ended = job.accepted, job.ended_at
    model = call.rules.baseline.models[accepted.model]
    average = int(str(model.facts["average_execution_time"].value))
    return {
        "average_execution_time": average // call.sandbox.pace,
        "execution_duration": milliseconds(accepted.at, call.now if ended is None else ended),
    }


def _wallet_header(call: Call, body: Mapping[str, object]) -> tuple[tuple[bytes, bytes], ...]:
    """Return the header with the payment requirements, in the form that wallets read."""
    if "x402Version" not in body:
        return ()
    name = call.rules.header_names["payment_required"]
    shown = json.dumps({key: body[key] for key in _WALLET_KEYS}, separators=(",", ":"))
    return ((name, base64.b64encode(shown.encode())),)
