"""Venice's checks; the baseline file sets their order."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from upsim.core import causes
from upsim.core.call import JSON, Call
from upsim.core.checks import COMMON, Check, Violation, json_type_flaw, named, no_own_job
from upsim.core.instants import SECOND
from upsim.core.jobs import Job
from upsim.core.refused_keys import key_flaw
from upsim.core.states import JobState
from upsim.providers.venice import field_errors, quotes, shared_field_checks
from upsim.providers.venice.error_budget import within_failure_budget
from upsim.providers.venice.usage_history import well_formed_page

_SPENDING = frozenset({"charge", "refund", "carried"})


def json_content_type(call: Call) -> Violation | None:
    """The Content-Type is application/json; its parameters do not matter."""
    given = call.headers.get(b"content-type", b"")
    right = given == JSON or given.partition(b";")[0].strip().lower() == JSON
    return None if right else Violation("wrong_content_type", cause=json_type_flaw(call))


def authenticated_for_quote(call: Call) -> Violation | None:
    """The request has a key; a quote without a key gets its own error."""
    if call.credential == "known":
        return None
    name = "missing_key_on_quote" if call.credential == "missing" else "unknown_key"
    return Violation(name, cause=key_flaw(call))


def admin_key(call: Call) -> Violation | None:
    """The prefix of the key is that of an admin key, if the knob asks for that."""
    if call.rules.knobs["billing_key"] == "any":
        return None
    token = (call.header(b"authorization") or "").partition(" ")[2].strip()
    prefix = call.rules.texts["admin_key_prefix"]
    if token.startswith(prefix):
        return None
    cause = f"Authorization: the key does not begin with {prefix}, which an admin key does"
    return Violation("not_an_admin_key", cause=cause)


def supported_fields(call: Call) -> Violation | None:
    """The body of queue has only fields that the model supports, if the knob asks for that."""
    return _only(call, "queue_fields", "field_unsupported")


def closed_body(call: Call) -> Violation | None:
    """The bodies of retrieve and complete have only their own fields, if the knob asks for that."""
    name = "retrieve_fields" if call.operation == "video/retrieve" else "complete_fields"
    return _only(call, name, "field_unrecognized")


def acceptable_duration(call: Call) -> Violation | None:
    """`duration` on queue is ignored; with the knob it is a text of seconds up to the limit."""
    if call.rules.knobs["queue_duration"] == "ignore" or "duration" not in call.inputs:
        return None
    value = call.inputs["duration"]
    if not isinstance(value, str):
        return field_errors.wrong_type("duration", "string", value)
    seconds = quotes.seconds_of(value)
    fits = seconds is not None and 0 < seconds <= call.rules.limits["max_seconds"]
    expected = f"seconds above 0, at most {call.rules.limits['max_seconds']}"
    return None if fits else field_errors.out_of_range("duration", value, expected)


def within_key_cap(call: Call) -> Violation | None:
    """The key's spending plus the price is within the spending cap of its plan."""
    cap = call.rules.baseline.plans[call.who.plan].facts.get("usd_cap")
    if cap is None:
        return None
    entries = call.sandbox.entries_of(call.who)
    spent = -sum(entry.amount for entry in entries if entry.kind in _SPENDING)
    price, most = call.sandbox.terms(call).quote.amount, Decimal(str(cap.value))
    if spent + price <= most:
        return None
    cause = f"key: found {spent} USD spent and a price of {price} USD, expected at most {most} USD"
    compared = {"max": most, "spent": spent, "price": price}
    return Violation("key_cap_reached", compared, cause=cause)


def polled_model(call: Call) -> Violation | None:
    """`model` is a string, or absent if allowed; a later check compares it with the job's model."""
    name = call.inputs.get("model")
    if name is None:
        if call.rules.knobs["model_on_poll"] != "required":
            return None
        cause = causes.of("model", call.inputs, "the model of the job")
        return Violation("missing_model", cause=cause)
    if isinstance(name, str):
        return None
    cause = causes.wrong("model", name, "the text of the job's model")
    return Violation("ill_typed_model", cause=cause)


def known_flag(call: Call) -> Violation | None:
    """`delete_media_on_completion` is absent, null or a boolean."""
    name = "delete_media_on_completion"
    value = call.inputs.get(name)
    good = value is None or isinstance(value, bool)
    return None if good else field_errors.wrong_type(name, "boolean", value)


def own_request(call: Call) -> Violation | None:
    """`queue_id` names a job of this account and of the named model that is not too old.

    All other ids get the same response, so that clients cannot learn which ids exist.
    """
    name = call.inputs.get("queue_id")
    if name is None:
        return field_errors.missing("queue_id", call.inputs, "the text of a job's id")
    if not isinstance(name, str):
        return field_errors.wrong_type("queue_id", "string", name)
    job = call.sandbox.find_job(name)
    if job is None or not _is_own(call, job):
        return no_own_job(call, name, "queue_id", "a job of this key")
    named = call.inputs.get("model")
    if named not in (None, job.accepted.model):
        expected = f"{causes.typed(job.accepted.model)}, the model of job {job.id}"
        return Violation("unknown_job", cause=causes.wrong("model", named, expected))
    call.job, call.model = job, call.rules.baseline.models[job.accepted.model]
    return None


def media_there(call: Call) -> Violation | None:
    """The file of a finished job has not expired and was not deleted."""
    job = call.target
    if job.state is not JobState.COMPLETED or not call.sandbox.output_gone(job):
        return None
    cause = f"queue_id: the file of job {job.id} was deleted or has expired"
    return Violation("media_gone", {"job": job.id}, cause=cause)


def completable(call: Call) -> Violation | None:
    """The knobs allow `complete` for this job, and no earlier `complete` deleted its file."""
    job = call.target
    if call.rules.knobs["complete_ids"] == "refused":
        return no_own_job(
            call, job.id, "queue_id", "nothing: the knob complete_ids refuses every id"
        )
    if not job.ended:
        if call.rules.knobs["early_complete"] != "refused":
            return None
        cause = f"queue_id: job {job.id} is {job.state.value}, expected one that has ended"
        return Violation("early_complete", cause=cause)
    deleting = call.rules.knobs["complete_effect"] == "delete"
    if not (deleting and media_there(call)):
        return None
    return no_own_job(call, job.id, "queue_id", "a job whose file is still there")


def not_retired(call: Call) -> Violation:
    """Always refuse the request: the endpoint is retired."""
    return Violation("retired", cause=f"path: {call.path} is gone for everybody")


def listable_type(call: Call) -> Violation | None:
    """`type` is absent or a known model type."""
    value, known = call.query().get("type"), call.rules.words["model_types"]
    return (
        None if value is None or value in known else field_errors.wrong_text("type", known, value)
    )


CHECKS: Mapping[str, Check] = COMMON | named(
    json_content_type,
    authenticated_for_quote,
    admin_key,
    within_failure_budget,
    supported_fields,
    closed_body,
    shared_field_checks.known_model,
    shared_field_checks.no_resolution,
    shared_field_checks.no_prompt,
    shared_field_checks.known_factor,
    shared_field_checks.has_video,
    shared_field_checks.public_video,
    shared_field_checks.supported_format,
    shared_field_checks.long_enough,
    shared_field_checks.short_enough,
    acceptable_duration,
    within_key_cap,
    quotes.no_resolution_on_quote,
    quotes.quotable,
    quotes.quoted_duration,
    quotes.quoted_height,
    quotes.quoted_video,
    polled_model,
    known_flag,
    own_request,
    media_there,
    completable,
    well_formed_page,
    not_retired,
    listable_type,
)


def _only(call: Call, limit: str, violation: str) -> Violation | None:
    if call.rules.knobs["unknown_fields"] == "ignore":
        return None
    allowed = call.rules.words[limit]
    other = next((name for name in call.inputs if name not in allowed), None)
    if other is None:
        return None
    return field_errors.unrecognized(other, allowed, violation)


def _is_own(call: Call, job: Job) -> bool:
    accepted = job.accepted
    return (
        (accepted.provider, accepted.account) == (call.rules.baseline.provider, call.who.number)
        and call.now - accepted.at < call.rules.limits["request_seconds"] * SECOND
        and job.state is not JobState.DELETED
    )
