"""Violations, the ordered run of checks, and the checks whose rule several providers document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from upsim.core.call import Call, Malformed, Pending
from upsim.core.instants import SECOND, iso
from upsim.core.media import MICROSECONDS, Media, Unmeasurable
from upsim.core.terms import Terms


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule: the name of a catalogue entry, and the values that were compared.

    Messages may show the values. `check` is the check that objected, once it has.
    """

    name: str
    values: Mapping[str, object] = field(default_factory=dict)
    check: str = field(default="", compare=False)


class Check(Protocol):
    """A rule that a request may break; named in a baseline by the function's own name."""

    __name__: str

    def __call__(self, call: Call, /) -> Violation | Pending | None:
        """The violation, the video that must be measured first, or None."""


def first_violation(call: Call, checks: Sequence[Check]) -> Violation | Pending | None:
    """What the first check that objects says; later checks do not run."""
    for check in checks:
        outcome = check(call)
        if outcome is None:
            continue
        if isinstance(outcome, Violation) and not outcome.check:
            return Violation(outcome.name, outcome.values, check.__name__)
        return outcome
    return None


def authenticated(call: Call) -> Violation | None:
    """A key came that has an account; any other is refused in one of two ways."""
    if call.credential == "known":
        return None
    return Violation("missing_key" if call.credential == "missing" else "unknown_key")


def body_within_limit(call: Call) -> Violation | None:
    """The body is not larger than the provider's limit."""
    if not call.oversized:
        return None
    return Violation("body_too_large", {"max": call.rules.wholes["body_bytes"]})


def plan_has_access(call: Call) -> Violation | None:
    """The account's plan may use the API at all."""
    plan = call.rules.baseline.plans[call.who.plan]
    return None if plan.access else Violation("no_access", {"plan": plan.name})


def within_rates(call: Call) -> Violation | None:
    """No rate limit of the plan that counts this call is used up; the call then takes its place."""
    for rate in call.rules.baseline.plans[call.who.plan].rates:
        if not _counts(rate.counts, call):
            continue
        window = call.world.window(call.who, rate.name)
        if window is not None and window.used >= window.limit:
            seconds = -(-(window.resets_at - call.now) // SECOND)
            call.uses.clear()
            values = {"limit": rate.limit, "reset": iso(window.resets_at), "seconds": seconds}
            return Violation("rate_limited", values)
        call.uses.append(rate)
    return None


def _counts(counted: str, call: Call) -> bool:
    scope = call.rules.knobs.get("rate_scope", counted)
    return scope in ("all", call.kind, call.operation)


def json_object(call: Call) -> Violation | None:
    """The body is a JSON object; it becomes the call's inputs."""
    document = call.json()
    if isinstance(document, Malformed):
        name = "wrong_content_type" if document.reason == "content_type" else "not_json"
        return Violation(name, {"detail": document.detail})
    if not isinstance(document, dict):
        return Violation("not_an_object", {"found": kind_of(document)})
    call.inputs = document
    return None


def measurable(call: Call) -> Violation | Pending | None:
    """The video can be had and measured; what was found becomes the call's media."""
    found = call.measured or call.world.measured(call, call.source)
    if found is None:
        return Pending(call.source, call.rules.wholes["video_bytes"])
    if isinstance(found, Unmeasurable):
        return Violation(found.reason, {"detail": found.detail})
    call.media = found
    return None


def not_too_long(call: Call) -> Violation | None:
    """The measured duration itself, unrounded, is within the provider's limit."""
    limit = call.rules.limits["max_seconds"]
    if media_of(call).duration <= limit * MICROSECONDS:
        return None
    return Violation("too_long", {"max": limit, "found": media_of(call).seconds})


def output_within_own_limit(call: Call) -> Violation | None:
    """The output is not larger than this simulator renders (a limit of ours, `assumed`)."""
    output = terms_of(call).output
    limit = call.rules.wholes["own_output_side"]
    if output is None or max(output.width, output.height) <= limit:
        return None
    found = f"{output.width}x{output.height}"
    return Violation("output_too_large", {"max": limit, "found": found})


def affordable(call: Call) -> Violation | None:
    """The balance covers the price; a balance of exactly the price does."""
    balance, amount = call.who.balance, terms_of(call).quote.amount
    if amount <= balance:
        return None
    return Violation("insufficient_funds", {"required": amount, "available": balance})


def terms_of(call: Call) -> Terms:
    """Price, output and plan; worked out once for a call whose media and options are known."""
    if call.terms is None:
        call.terms = call.world.terms(call)
    return call.terms


def media_of(call: Call) -> Media:
    """The measured media; for checks that run after `measurable`."""
    if call.media is None:
        msg = f"{call.operation}: a check that needs media is listed before `measurable`"
        raise LookupError(msg)
    return call.media


def kind_of(value: object) -> str:
    """The JSON name of a value's type."""
    if value is None:
        return "null"
    names = {bool: "boolean", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "number")


def named(*checks: Check) -> dict[str, Check]:
    """The checks under the names that baselines call them by."""
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
    """The value as an integer when it is a JSON number equal to one (`2` and `2.0`)."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | float):
        return None
    return int(value) if value == int(value) else None
