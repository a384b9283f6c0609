"""The checks of WaveSpeedAI's model requests; the baseline file sets their order."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from msgspec.structs import replace

from upsim.core import causes
from upsim.core.baseline import Model, Option
from upsim.core.call import Call, Pending
from upsim.core.checks import COMMON, Check, Violation, affordable, named, no_own_job, too_long
from upsim.core.jobs import Job
from upsim.core.media import MICROSECONDS, Unmeasurable
from upsim.core.pricing import Quantity, billed_quantity

VIDEO = "video"
SYNC = "enable_sync_mode"
WEBHOOK = "webhook_url"
_SWITCHES = (("true", "false"), ("false", "true"))
MODEL_ID = "model_id"
INPUTS = "inputs"
SHOWN = 100
"""Characters of a client's value that a refusal records beside the allowed values."""


def account_active(call: Call) -> Violation | None:
    """The key was activated by a top-up, the account is not suspended, and its role may do this."""
    plan = call.rules.baseline.plans[call.who.plan]
    if plan.access:
        return None
    cause = f"account: its plan {plan.name} has no access to the API"
    return Violation(str(plan.facts["refusal"].value), {"plan": plan.name}, cause=cause)


def known_model(call: Call) -> Violation | None:
    """The path names an emulated model."""
    return _take_model(call, call.params["model"], "model in the path")


def model_to_price(call: Call) -> Violation | None:
    """`model_id` names an emulated model, and the key `inputs` has its inputs."""
    violation = _take_model(call, str(call.inputs[MODEL_ID]), MODEL_ID)
    inner = call.inputs[INPUTS]
    call.inputs = inner if isinstance(inner, dict) else {}
    return violation


def has_video(call: Call) -> Violation | None:
    """`video` is a text that is not empty."""
    return may_have_video(call) or (None if call.source else missing(call, VIDEO, "text"))


def may_have_video(call: Call) -> Violation | None:
    """`video` is absent or a string; a quote without a video is the model's base price."""
    video = call.inputs.get(VIDEO)
    if video is not None and not isinstance(video, str):
        return bad_type(call, VIDEO, "text")
    call.source = video or ""
    return None


def known_keys(call: Call) -> Violation | None:
    """Unknown and null keys are ignored; with a knob they are refused, as the schemas say."""
    if call.rules.knobs["unknown_keys"] == "ignore":
        return None
    model = model_of(call)
    allowed = (VIDEO, *model.options)
    if not call.inputs.keys() <= {*allowed, *call.rules.words["platform_keys"]}:
        known = {*allowed, *call.rules.words["platform_keys"]}
        other = next(name for name in call.inputs if name not in known)
        cause = f"{causes.quoted(other)}: found an unknown property, expected {', '.join(allowed)}"
        return Violation("unexpected_property", {"allowed": ", ".join(allowed)}, cause=cause)
    null = next((name for name, value in call.inputs.items() if value is None), None)
    if null is None:
        return None
    cause = f"{null}: found null, expected a value or no such property"
    return Violation("null_property", {"name": null}, cause=cause)


def valid_options(call: Call) -> Violation | None:
    """Each parameter of the model is absent, or of its type and one of the allowed values."""
    for option in model_of(call).options.values():
        value, chosen = call.inputs.get(option.name), option.default
        if value is not None:
            violation = _refused(call, option, value)
            if violation is not None:
                return violation
            chosen = _text(call, value)
        call.options[option.name] = chosen
    return None


def valid_platform_keys(call: Call) -> Violation | None:
    """`enable_sync_mode` is a boolean; `webhook_url` is a string if a knob makes it effective."""
    sync, webhook = call.inputs.get(SYNC), call.inputs.get(WEBHOOK)
    if sync is not None and not isinstance(sync, bool):
        return bad_type(call, SYNC, "switch")
    if webhook is None or isinstance(webhook, str) or call.rules.knobs["webhook_key"] == "query":
        return None
    return bad_type(call, WEBHOOK, "text")


def measured_or_failing(call: Call) -> Violation | Pending | None:
    """The video is measured; if it is not available, the task is accepted and then fails.

    A video beyond the limits of this simulator is refused at once: no provider has these limits.
    """
    if not call.source:
        return None
    if not call.source.startswith(("http://", "https://")):
        field = _field(call, VIDEO)
        cause = f"{field}: found {causes.described(call.source)}, expected an http(s) URL"
        call.failure, call.source, call.cause = "media_access_failed", "", cause
        return None
    found = call.measured or call.sandbox.measured(call, call.source)
    if found is None:
        return Pending(call.source, call.rules.wholes["video_bytes"])
    if isinstance(found, Unmeasurable) and found.reason in ("beyond_own_limits", "no_room"):
        cause = causes.video(call.source, found.detail)
        return Violation(found.reason, {"detail": found.detail}, cause=cause)
    if isinstance(found, Unmeasurable):
        unread = found.reason != "unreachable"
        call.failure = "media_unreadable" if unread else "media_access_failed"
        call.compared = {"detail": found.detail}
        call.cause = causes.video(call.source, found.detail)
    else:
        call.media = found
    return None


def length_within_limit(call: Call) -> Violation | None:
    """The measured duration is within the limit; a knob rounds it first, or removes the limit."""
    how = call.rules.knobs["length_limit"]
    if call.media is None or how == "clamp":
        return None
    limit = call.rules.limits["max_seconds"]
    if how == "raw":
        within = call.media.duration <= limit * MICROSECONDS
    else:
        rule = model_of(call).billing.quantity
        unbounded = Quantity(of=rule.of, round=rule.round)
        within = billed_quantity(unbounded, {rule.of: call.media.seconds}) <= limit
    return None if within else too_long(call, limit)


def affordable_or_failing(call: Call) -> Violation | None:
    """The balance covers the price; with a knob an unpaid task is accepted, and then fails."""
    violation = affordable(call)
    if violation is None or call.rules.knobs["funds_refusal"] != "task":
        return violation
    call.failure = "insufficient_credits"
    agreed = call.sandbox.terms(call)
    unpaid = replace(agreed.quote, amount=Decimal(0), formula="unpaid")
    call.spec = replace(agreed, quote=unpaid, debit=Decimal(0))
    return None


def own_prediction(call: Call) -> Violation | None:
    """The task exists and belongs to the account; another account's task counts as unknown."""
    name = call.params["id"]
    call.job = own_job(call, name)
    return None if call.job else no_own_job(call, name, "prediction id", "a prediction of this key")


def own_job(call: Call, name: str) -> Job | None:
    """The account's job of this id."""
    job = call.sandbox.find_job(name)
    if job is None or job.accepted.account != call.who.number:
        return None
    return job


def not_a_task(call: Call) -> Violation:
    """Refuse a `GET` of any other path: unknown paths get 404, models accept only POST."""
    if call.params["model"] not in call.rules.baseline.models:
        cause = f"path: found {causes.quoted(call.path)}, where nothing is served"
        return Violation("no_route", cause=cause)
    cause = f"method: found {call.method}, expected POST, which submits to a model"
    return Violation("wrong_method", {"allowed": "POST"}, cause=cause)


def old_path_served(call: Call) -> Violation | None:
    """The path of older pages exists only if a knob asks for it."""
    if call.rules.knobs["old_paths"] != "absent":
        return None
    cause = f"path: {causes.quoted(call.path)} is known only to the knob old_paths"
    return Violation("no_route", cause=cause)


def bad_type(call: Call, name: str, kind: str) -> Violation:
    """Return the refusal of a value of the wrong type."""
    kinds = call.rules.fact("kinds")
    text = kinds[kind] if isinstance(kinds, Mapping) else kind
    cause = causes.of(_field(call, name), call.inputs, str(text))
    return Violation("bad_type", {"name": name, "kind": text}, cause=cause)


def missing(call: Call, name: str, expected: str) -> Violation:
    """Return the refusal of a property that is missing or empty."""
    kinds = call.rules.fact("kinds")
    text = kinds.get(expected, expected) if isinstance(kinds, Mapping) else expected
    cause = causes.needed(_field(call, name), call.inputs, str(text))
    return Violation("missing_property", {"name": name}, cause=cause)


def is_switch(option: Option) -> bool:
    """Return whether the parameter is a boolean on the wire."""
    return option.allowed in _SWITCHES


def _with_minimum(model: Model, minimum: Decimal) -> Model:
    """Return the model with the minimum price that a knob sets."""
    quantity = replace(model.billing.quantity, minimum=minimum)
    return replace(model, billing=replace(model.billing, quantity=quantity))


def _take_model(call: Call, name: str, field: str) -> Violation | None:
    models = call.rules.baseline.models
    found = models.get(name)
    if found is None:
        return Violation("unknown_model", cause=causes.wrong_choice(field, name, models))
    knob = found.facts.get("minimum_by")
    chosen = None if knob is None else call.rules.turned(str(knob.value))
    call.model = found if chosen is None else _with_minimum(found, Decimal(chosen))
    return None


def model_of(call: Call) -> Model:
    """The model of a request, for checks and operations that run after the check of the model."""
    if call.model is None:
        msg = (
            f"{call.operation}: a check that needs the model is listed before the one that finds it"
        )
        raise LookupError(msg)
    return call.model


def _field(call: Call, name: str) -> str:
    """Return the path of a model's input in the body; for a price it is in `inputs`."""
    priced = call.model is not None and call.operation in ("model/price", "model/pricing")
    return f"{INPUTS}.{name}" if priced else name


def _refused(call: Call, option: Option, value: object) -> Violation | None:
    switch = is_switch(option)
    if not isinstance(value, bool if switch else str):
        return bad_type(call, option.name, "switch" if switch else "text")
    if _text(call, value) in option.allowed:
        return None
    compared = {"allowed": ", ".join(option.allowed), "found": str(value)[:SHOWN]}
    cause = causes.wrong_choice(_field(call, option.name), value, option.allowed)
    return Violation("bad_choice", {"name": option.name, **compared}, cause=cause)


def _text(call: Call, value: object) -> str:
    text = str(value)
    lower = isinstance(value, bool) or call.rules.knobs["resolution_case"] == "any"
    return text.lower() if lower and len(text) <= causes.MAX_READ else text


CHECKS: Mapping[str, Check] = COMMON | named(
    account_active,
    known_model,
    model_to_price,
    has_video,
    may_have_video,
    known_keys,
    valid_options,
    valid_platform_keys,
    measured_or_failing,
    length_within_limit,
    affordable_or_failing,
    own_prediction,
    not_a_task,
    old_path_served,
)
