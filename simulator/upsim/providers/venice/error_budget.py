"""The error budget: an account with too many failed requests is locked out for a time."""

from __future__ import annotations

from upsim.core.baseline import RateLimit
from upsim.core.call import Call
from upsim.core.checks import Violation

COUNTED = "failures"
"""The unit of a plan's rate limit that is the error budget."""

_BEFORE_THE_BUDGET = frozenset(
    {"missing_key", "wrong_content_type", "not_json", "body_too_large", "retired"}
)
"""Refusals that happen before the check of the budget; they do not count."""


def budget_of(call: Call) -> RateLimit | None:
    """Return the error budget of the account's plan; None if it has none."""
    if call.account is None:
        return None
    rates = call.rules.baseline.plans[call.account.plan].rates
    for rate in rates:
        if rate.counts == COUNTED:
            return rate
    return None


def within_failure_budget(call: Call) -> Violation | None:
    """The failures in the current window do not exceed the error budget."""
    rate = budget_of(call)
    window = call.sandbox.window(call.who, rate.name) if rate else None
    if window is None or window.used <= window.limit:
        return None
    cause = f"failed calls: found {window.used}, expected at most {window.limit} per window"
    compared = {"limit": window.limit, "used": window.used}
    return Violation("too_many_failures", compared, cause=cause)


def count_refusal(call: Call, violation: Violation, status: int) -> None:
    """Count a refusal against the error budget, if the budget was checked before the refusal."""
    if violation.name not in _BEFORE_THE_BUDGET:
        count_failure(call, status)


def count_failure(call: Call, status: int) -> None:
    """Count a 4xx response other than 429 against the budget."""
    rate = budget_of(call)
    if rate is not None and 400 <= status < 500 and status != 429:  # noqa: PLR2004 - of HTTP
        call.uses.append(rate)
