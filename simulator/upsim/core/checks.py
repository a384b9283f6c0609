"""Violations, the checks in their order, and the checks that several providers share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from upsim.core import causes
from upsim.core.call import Call, Pending
from upsim.core.instants import SECOND, iso
from upsim.core.job_spec import JobSpec
from upsim.core.json_bodies import Malformed
from upsim.core.media import MICROSECONDS, Media, Unmeasurable
from upsim.core.numbers import counted
from upsim.core.pricing import plain
from upsim.core.refused_keys import key_flaw


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule: the name of a catalogue entry, and the values that were compared.

    Messages may show the values. `cause` is a sentence for developers: which part of the
    request was wrong, its value, and the expected value. `check` is the check that reported
    the violation; it is empty before.
    """

    name: str
    values: Mapping[str, object] = field(default_factory=dict)
    check: str = field(default="", compare=False)
    cause: str = field(default="", compare=False, kw_only=True)


class Check(Protocol):
    """A rule that a request may break; a baseline refers to it by its function name."""

    __name__: str

    def __call__(self, call: Call, /) -> Violation | Pending | None:
        """Return the violation, or the video that must be measured first, or None."""


def first_violation(call: Call, checks: Sequence[Check]) -> Violation | Pending | None:
    """Return the first violation or pending measurement; later checks do not run."""
    for check in checks:
        outcome = check(call)
        if outcome is None:
            continue
        if isinstance(outcome, Violation) and not outcome.check:
            return Violation(outcome.name, outcome.values, check.__name__, cause=outcome.cause)
        return outcome
    return None


def authenticated(call: Call) -> Violation | None:
    """Refuse a request without a key, or with a key that has no account."""
    if call.credential == "known":
        return None
    name = "missing_key" if call.credential == "missing" else "unknown_key"
    return Violation(name, cause=key_flaw(call))


def json_type_flaw(call: Call) -> str:
    """Return what is wrong with a content type other than JSON."""
    return causes.header("Content-Type", call.headers.get(b"content-type"), "application/json")


def no_own_job(call: Call, name: str, field: str, expected: str) -> Violation:
    """Return the refusal of an id without a job, or with a job of another account or provider."""
    job, provider = call.sandbox.find_job(name), call.rules.baseline.provider
    whose = ""
    if job is not None and job.accepted.provider != provider:
        whose = f"; it is a job of {job.accepted.provider}, not of {provider}"
    elif job is not None and job.accepted.account != call.who.number:
        whose = f"; it is a job of another key (account {job.accepted.account})"
    return Violation("unknown_job", cause=f"{causes.wrong(field, name, expected)}{whose}")


def body_within_limit(call: Call) -> Violation | None:
    """Refuse a body that exceeds the provider's limit."""
    if not call.oversized:
        return None
    limit = call.rules.wholes["body_bytes"]
    return Violation("body_too_large", {"max": limit}, cause=size_flaw(call, limit))


def size_flaw(call: Call, limit: int) -> str:
    """Return the sentence for a body that is too large and was not read to its end."""
    length = call.header(b"content-length")
    announced = f", Content-Length {causes.quoted(length)}" if length else ""
    return f"body: found more than {limit} bytes{announced}, expected at most {limit} bytes"


def plan_has_access(call: Call) -> Violation | None:
    """Refuse an account whose plan has no access to the API."""
    plan = call.rules.baseline.plans[call.who.plan]
    if plan.access:
        return None
    cause = f"account: its plan {plan.name} has no access to the API"
    return Violation("no_access", {"plan": plan.name}, cause=cause)


def within_rates(call: Call) -> Violation | None:
    """Refuse a call if a rate limit of its plan is used up; otherwise count the call."""
    for rate in call.rules.baseline.plans[call.who.plan].rates:
        if not _counts(rate.counts, call):
            continue
        window = call.sandbox.window(call.who, rate.name)
        if window is not None and window.used >= window.limit:
            seconds = -(-(window.resets_at - call.now) // SECOND)
            call.uses.clear()
            reset = iso(window.resets_at)
            cause = f"rate: {rate.name} allows {rate.limit}, all are used until {reset}"
            values = {"limit": rate.limit, "reset": reset, "seconds": seconds}
            return Violation("rate_limited", values, cause=cause)
        call.uses.append(rate)
    return None


def _counts(counted: str, call: Call) -> bool:
    """Return whether a limit counts a call; the knob `rate_scope`, unless `all`, has priority."""
    chosen = call.rules.knobs.get("rate_scope", "all")
    scope = counted if chosen == "all" else chosen
    return scope in ("all", call.kind, call.operation)


def json_object(call: Call) -> Violation | None:
    """Refuse a body that is not a JSON object; otherwise store it as the call's inputs."""
    document = call.json()
    if isinstance(document, Malformed):
        name = "wrong_content_type" if document.reason == "content_type" else "not_json"
        cause = f"body: {document.detail}"
        return Violation(name, {"detail": document.detail}, cause=cause)
    if not isinstance(document, dict):
        cause = causes.wrong("body", document, "a JSON object")
        return Violation("not_an_object", {"found": causes.kind_of(document)}, cause=cause)
    call.inputs = document
    return None


def measurable(call: Call) -> Violation | Pending | None:
    """Refuse a video that cannot be fetched or measured; otherwise store its properties."""
    found = call.measured or call.sandbox.measured(call, call.source)
    if found is None:
        return Pending(call.source, call.rules.wholes["video_bytes"])
    if isinstance(found, Unmeasurable):
        cause = causes.video(call.source, found.detail)
        return Violation(found.reason, {"detail": found.detail}, cause=cause)
    call.media = found
    return None


def not_too_long(call: Call) -> Violation | None:
    """Refuse a video whose exact (not rounded) duration exceeds the provider's limit."""
    limit = call.rules.limits["max_seconds"]
    if media_of(call).duration <= limit * MICROSECONDS:
        return None
    return too_long(call, limit)


def too_long(call: Call, limit: Decimal, name: str = "too_long") -> Violation:
    """Return the refusal of a video whose measured duration exceeds a limit in seconds."""
    found = media_of(call).seconds
    cause = f"video: found a duration of {plain(found)} s, expected at most {plain(limit)} s"
    return Violation(name, {"max": limit, "found": found}, cause=cause)


def output_within_own_limit(call: Call) -> Violation | None:
    """Refuse an output larger than this simulator renders (its own limit, `assumed`)."""
    output = terms_of(call).output
    limit = call.rules.wholes["own_output_side"]
    if output is None or max(output.width, output.height) <= limit:
        return None
    found = output.dimensions
    cause = f"video: its output would be {found}, expected at most {limit} pixels a side"
    return Violation("output_too_large", {"max": limit, "found": found}, cause=cause)


def affordable(call: Call) -> Violation | None:
    """Refuse a call whose price exceeds the balance; a balance equal to the price is enough."""
    balance, amount = call.who.balance, terms_of(call).quote.amount
    if amount <= balance:
        return None
    unit = call.rules.baseline.unit
    found, least = counted(plain(balance), unit), counted(plain(amount), unit)
    cause = f"balance: found {found}, expected at least {least}"
    compared = {"required": amount, "available": balance}
    return Violation("insufficient_funds", compared, cause=cause)


def terms_of(call: Call) -> JobSpec:
    """Return the price, output and plan of a call with known media; computed once."""
    if call.spec is None:
        call.spec = call.sandbox.terms(call)
    return call.spec


def media_of(call: Call) -> Media:
    """Return the measured media; for checks that run after `measurable`."""
    if call.media is None:
        msg = f"{call.operation}: a check that needs media is listed before `measurable`"
        raise LookupError(msg)
    return call.media


def named(*checks: Check) -> dict[str, Check]:
    """Return the checks by the names that baselines use for them."""
    return {check.__name__: check for check in checks}


COMMON: dict[str, Check] = named(
    authenticated,
    body_within_limit,
    plan_has_access,
    within_rates,
    json_object,
    measurable,
    not_too_long,
    output_within_own_limit,
    affordable,
)
"""The checks that any baseline may name; a provider's own checks are added to them."""

ALWAYS_NEEDED = ("no_route", "wrong_method", "file_gone", "internal", "no_room")
"""The errors that every catalogue must have, because no check but the framework says them."""
SAID_BY: Mapping[str, tuple[str, ...]] = {
    "authenticated": ("missing_key", "unknown_key"),
    "body_within_limit": ("body_too_large",),
    "plan_has_access": ("no_access",),
    "within_rates": ("rate_limited",),
    "json_object": ("wrong_content_type", "not_json", "not_an_object"),
    "measurable": (
        "unreachable",
        "not_a_video",
        "too_large",
        "not_decodable",
        "beyond_own_limits",
    ),
    "not_too_long": ("too_long",),
    "output_within_own_limit": ("output_too_large",),
    "affordable": ("insufficient_funds",),
}
"""The errors that a catalogue needs for each common check that its baseline names."""


def whole_number(value: object) -> int | None:
    """Return a JSON number as an integer if it is whole (`2` and `2.0`); None otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | float):
        return None
    return int(value) if value == int(value) else None
