"""The pricing engine: a provider's price rule, as data, applied to the measured values.

A rule is a quantity times a rate, and sometimes times a surcharge. The quantity is
seconds or frames, rounded by the provider's rule; the rate is flat, from a table, or by
tier. All amounts are `Decimal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Literal

import msgspec

from upsim.core.evidence import Evidence
from upsim.core.numbers import counted

Measures = Mapping[str, Decimal | Fraction | int | str]
"""What a price may depend on: `seconds`, `frames`, `frame_rate`, `output_height`, and options."""


class Quantity(msgspec.Struct, frozen=True):
    """The counted quantity, its rounding to whole numbers, and its limits."""

    of: Literal["seconds", "frames"]
    round: Literal["up", "down", "exact"] = "exact"
    minimum: Decimal | None = None
    maximum: Decimal | None = None


class Tier(msgspec.Struct, frozen=True):
    """One line of a tiered rate, valid up to and including `up_to` (None: no upper limit)."""

    name: str
    up_to: Decimal | None
    rate: Decimal


class Rate(msgspec.Struct, frozen=True):
    """The price of `per` units of the quantity: flat, by an option's value, or by tier."""

    by: str | None = None
    per: Decimal = Decimal(1)
    flat: Decimal | None = None
    table: tuple[tuple[str, Decimal], ...] = ()
    tiers: tuple[Tier, ...] = ()


class Surcharge(msgspec.Struct, frozen=True):
    """The rate is multiplied by `times` when the measure is strictly above `above`."""

    of: str
    above: Decimal
    times: Decimal


class Billing(msgspec.Struct, frozen=True):
    """A model's price rule; `unit_per` converts its unit into the ledger's (`unit`)."""

    unit: str
    quantity: Quantity
    rate: Rate
    evidence: Evidence
    surcharge: Surcharge | None = None
    places: int | None = None
    unit_per: Decimal = Decimal(1)


class PriceQuote(msgspec.Struct, frozen=True):
    """A price: `amount` in `unit` for `quantity` at `rate` each, and the calculation as text."""

    amount: Decimal
    unit: str
    quantity: Decimal
    rate: Decimal
    tier: str
    formula: str
    inputs: tuple[tuple[str, str], ...] = ()


class UnknownPriceError(LookupError):
    """The rule has no line for these values: a mistake in a baseline, never in a request."""


def billed_quantity(rule: Quantity, measures: Measures) -> Decimal:
    """Return the counted quantity: first rounded, then bounded by the rule's limits."""
    exact = _decimal(measures[rule.of])
    rounding = {"up": ROUND_CEILING, "down": ROUND_FLOOR}
    counted = exact
    if rule.round != "exact":
        counted = exact.to_integral_value(rounding=rounding[rule.round])
    if rule.minimum is not None:
        counted = max(counted, rule.minimum)
    if rule.maximum is not None:
        counted = min(counted, rule.maximum)
    return counted


def rate_line(rule: Rate, measures: Measures) -> tuple[str, Decimal]:
    """Return the name and the rate (of one unit) of the line that applies to these measures."""
    if rule.by is None:
        return ("flat", _present(rule.flat, rule) / rule.per)
    value = measures[rule.by]
    for key, rate in rule.table:
        if key == str(value):
            return (key, rate / rule.per)
    for tier in rule.tiers:
        if tier.up_to is None or _decimal(value) <= tier.up_to:
            return (tier.name, tier.rate / rule.per)
    msg = f"no rate for {rule.by} = {value!r}"
    raise UnknownPriceError(msg)


def surcharge_factor(rule: Surcharge | None, measures: Measures) -> Decimal:
    """Return 1, or the surcharge's factor; frame rates are compared as exact fractions."""
    if rule is None or rule.of not in measures:
        return Decimal(1)
    value = measures[rule.of]
    above = Fraction(value) > Fraction(rule.above)
    return rule.times if above else Decimal(1)


def quote(billing: Billing, measures: Measures) -> PriceQuote:
    """Return the price by the rule for these measures."""
    quantity = billed_quantity(billing.quantity, measures)
    tier, base = rate_line(billing.rate, measures)
    factor = surcharge_factor(billing.surcharge, measures)
    rate = base * factor * billing.unit_per
    amount = quantity * rate
    if billing.places is not None:
        amount = amount.quantize(Decimal(1).scaleb(-billing.places), rounding=ROUND_HALF_UP)
    amount = plain(amount)
    formula = _formula(billing, quantity, base, factor, amount)
    return PriceQuote(
        amount=amount,
        unit=billing.unit,
        quantity=plain(quantity),
        rate=plain(rate),
        tier=tier,
        formula=formula,
        inputs=tuple((name, str(value)) for name, value in sorted(measures.items())),
    )


def plain(amount: Decimal) -> Decimal:
    """Return the number without trailing zeros; its text has no exponent above 0.000001."""
    normal = amount.normalize()
    return normal.quantize(Decimal(1)) if "E+" in str(normal) else normal


def _formula(
    billing: Billing, quantity: Decimal, base: Decimal, factor: Decimal, amount: Decimal
) -> str:
    terms = [counted(plain(quantity), billing.quantity.of.removesuffix("s")), f"{plain(base)}"]
    terms += [f"{plain(factor)}"] if factor != 1 else []
    terms += [f"{plain(billing.unit_per)}"] if billing.unit_per != 1 else []
    return f"{' × '.join(terms)} = {counted(amount, billing.unit)}"


def _decimal(value: Decimal | Fraction | int | str) -> Decimal:
    if isinstance(value, Fraction):
        return Decimal(value.numerator) / Decimal(value.denominator)
    return Decimal(value)


def _present(rate: Decimal | None, rule: Rate) -> Decimal:
    if rate is None:
        msg = f"a rate without `by` needs `flat`: {rule!r}"
        raise UnknownPriceError(msg)
    return rate
