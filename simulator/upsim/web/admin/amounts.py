"""Amounts of money and seconds in the bodies of admin requests."""

from __future__ import annotations

from decimal import Decimal

from upsim.core.baseline import Baseline
from upsim.core.numbers import DECIMAL_FORM, plain_decimal
from upsim.scenario.durations import parse_seconds
from upsim.web.admin.problems import AdminError, shown

PLACES = 12
MOST = Decimal(10**15)
MAX_AMOUNT_LENGTH = 40


def money(text: str | int, what: str) -> Decimal:
    """Return an amount from a body. Raises AdminError 400."""
    found = plain_decimal(str(text)[:MAX_AMOUNT_LENGTH])
    if found is None:
        raise AdminError(400, "invalid", f"{what} {shown(text)} is not {DECIMAL_FORM}")
    bounded = len(str(text)) <= MAX_AMOUNT_LENGTH and -MOST <= found <= MOST
    if not bounded or found != round(found, PLACES):
        message = f"{what} {shown(text)}: up to {MOST:f}, with up to {PLACES} decimal places"
        raise AdminError(400, "invalid", message)
    return found


def balance(text: str | int, what: str, baseline: Baseline | None) -> Decimal:
    """Return a balance from a body: not negative, and whole if the unit is indivisible."""
    found = money(text, what)
    if found < 0:
        raise AdminError(400, "invalid", f"{what} {shown(text)} is negative")
    if baseline and not baseline.divisible and found != found.to_integral_value():
        why = f"a {baseline.unit} cannot be divided"
        message = f"{what} {shown(text)} is not a whole number: {why}"
        raise AdminError(400, "invalid", message)
    return found


def seconds_in(value: float | str, what: str) -> Decimal:
    """Return a number of seconds from a body, given as number or duration. Raises AdminError."""
    try:
        found = parse_seconds(value)
    except ValueError as error:
        raise AdminError(400, "invalid", f"{what} {error}") from None
    if not -MOST <= found <= MOST or found != round(found, PLACES):
        message = f"{what} {shown(str(value))}: up to {MOST:f}, with up to {PLACES} decimal places"
        raise AdminError(400, "invalid", message)
    return found
