"""The pricing engine: rounding, bounds, lines of a rate, surcharges, exactness."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any, Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.unit.core.conftest import BILLING, WHY
from upsim.core.pricing import (
    Billing,
    PriceQuote,
    Quantity,
    Rate,
    Surcharge,
    Tier,
    UnknownPriceError,
    billed_quantity,
    plain,
    quote,
    rate_line,
    surcharge_factor,
)

Rounding = Literal["up", "down", "exact"]
MICROS = st.integers(0, 7_200_000_000)
AMOUNTS = st.decimals(Decimal("0.0001"), 100, places=4)
ROUNDINGS = st.sampled_from(get_args(Rounding))
TIERS = (Tier("small", Decimal(720), Decimal("0.5")), Tier("large", None, Decimal("0.75")))


def seconds(micros: int) -> dict[str, Any]:
    """Return the measures of a video of `micros` microseconds."""
    return {"seconds": Decimal(micros) / 1_000_000}


@given(MICROS)
def test_up_is_the_ceiling_at_the_microsecond(micros: int) -> None:
    """Rounded up, a whole second stays and a microsecond more is another second."""
    found = billed_quantity(Quantity(of="seconds", round="up"), seconds(micros))

    assert ceil(Fraction(micros, 1_000_000)) == found


@given(MICROS)
def test_down_is_the_floor_at_the_microsecond(micros: int) -> None:
    """Rounded down, a microsecond less than a whole second loses that second."""
    found = billed_quantity(Quantity(of="seconds", round="down"), seconds(micros))

    assert floor(Fraction(micros, 1_000_000)) == found


@given(MICROS)
def test_exact_is_exact(micros: int) -> None:
    """A quantity without rounding counts every microsecond."""
    found = billed_quantity(Quantity(of="seconds"), seconds(micros))

    assert Fraction(micros, 1_000_000) == Fraction(found)


@pytest.mark.parametrize(
    ("micros", "up", "down"),
    [(4_999_999, 5, 4), (5_000_000, 5, 5), (5_000_001, 6, 5), (0, 0, 0), (1, 1, 0)],
)
def test_rounding_at_whole_seconds(micros: int, up: int, down: int) -> None:
    """Exactly five seconds count as five; one microsecond more or less changes the result."""
    rules = [Quantity(of="seconds", round=how) for how in ("up", "down")]

    assert [up, down] == [billed_quantity(rule, seconds(micros)) for rule in rules]


@pytest.mark.parametrize(("counted", "billed"), [("3.2", 5), ("5", 5), ("12", 12), ("601", 600)])
def test_bounds(counted: str, billed: int) -> None:
    """The minimum and maximum apply after rounding."""
    rule = Quantity(of="seconds", round="up", minimum=Decimal(5), maximum=Decimal(600))

    assert billed == billed_quantity(rule, {"seconds": Decimal(counted)})


@given(MICROS, MICROS, AMOUNTS, ROUNDINGS)
def test_longer_videos_never_cost_less(one: int, other: int, rate: Decimal, how: Rounding) -> None:
    """A price never falls if the video gets longer."""
    rule = replace(BILLING, quantity=Quantity(of="seconds", round=how), rate=Rate(flat=rate))
    shorter, longer = sorted((one, other))

    assert quote(rule, seconds(shorter)).amount <= quote(rule, seconds(longer)).amount


@given(MICROS, AMOUNTS, ROUNDINGS, st.sampled_from([None, 6]))
def test_money_is_never_a_float(
    micros: int, rate: Decimal, how: Rounding, places: int | None
) -> None:
    """Every number of a quote is a finite decimal."""
    quantity = Quantity(of="seconds", round=how)
    rule = replace(BILLING, quantity=quantity, rate=Rate(flat=rate), places=places)
    found = quote(rule, seconds(micros))

    for number in (found.amount, found.quantity, found.rate):
        assert type(number) is Decimal
        assert number.is_finite()


@given(st.integers(0, 10_000), AMOUNTS)
def test_amounts_are_exact(frames: int, rate: Decimal) -> None:
    """An amount is the exact product of quantity and rate."""
    rule = replace(BILLING, quantity=Quantity(of="frames"), rate=Rate(flat=rate))

    assert Fraction(quote(rule, {"frames": frames}).amount) == frames * Fraction(rate)


@pytest.mark.parametrize(
    ("seconds_billed", "amount"), [("0.0000004", "0"), ("0.0000005", "0.000001"), ("2", "2")]
)
def test_places_round_half_up(seconds_billed: str, amount: str) -> None:
    """A rule with decimal places rounds the amount half up and removes trailing zeros."""
    rule = replace(BILLING, quantity=Quantity(of="seconds"), rate=Rate(flat=Decimal(1)), places=6)

    assert amount == str(quote(rule, {"seconds": Decimal(seconds_billed)}).amount)


def test_a_flat_rate_per_unit() -> None:
    """A flat rate can apply to several units."""
    assert rate_line(Rate(flat=Decimal("0.025"), per=Decimal(5)), {}) == ("flat", Decimal("0.005"))


@pytest.mark.parametrize(("factor", "rate"), [("1", 16), ("2", 16), ("4", 28)])
def test_a_table_by_an_option(factor: str, rate: int) -> None:
    """The value of an option selects the row of a price table."""
    table = (("1", Decimal(16)), ("2", Decimal(16)), ("4", Decimal(28)))

    name, found = rate_line(Rate(by="factor", table=table), {"factor": factor})

    assert (factor, Decimal(rate)) == (name, found)


@pytest.mark.parametrize(
    ("height", "line"),
    [(1, "small"), (720, "small"), (721, "large"), (Fraction(1441, 2), "large"), (10**6, "large")],
)
def test_tiers_hold_up_to_their_bound(height: int | Fraction, line: str) -> None:
    """A price tier includes its upper limit, and the last tier has no limit."""
    name, _ = rate_line(Rate(by="output_height", tiers=TIERS), {"output_height": height})

    assert line == name


@pytest.mark.parametrize(
    "rate",
    [
        Rate(by="factor", table=(("2", Decimal(16)),)),
        Rate(by="factor", tiers=(Tier("small", Decimal(1), Decimal(1)),)),
    ],
)
def test_a_value_without_a_row(rate: Rate) -> None:
    """If a price table lacks a value, the error is a baseline error that names the value."""
    with pytest.raises(UnknownPriceError, match=r"no rate for factor = '8'"):
        rate_line(rate, {"factor": "8"})


def test_a_rate_without_any_rule() -> None:
    """A rate that is neither flat nor selected by a value raises a baseline error."""
    with pytest.raises(UnknownPriceError, match="needs `flat`"):
        rate_line(Rate(), {})


@pytest.mark.parametrize(
    ("rate", "times"),
    [
        (Fraction(48), 1),
        (Fraction(48_001, 1000), 2),
        (Fraction(60_000, 1001), 2),
        (Fraction(24), 1),
    ],
)
def test_a_surcharge_is_strictly_above(rate: Fraction, times: int) -> None:
    """A surcharge above 48 frames per second does not apply at exactly 48."""
    rule = Surcharge(of="frame_rate", above=Decimal(48), times=Decimal(2))

    assert times == surcharge_factor(rule, {"frame_rate": rate})


@pytest.mark.parametrize("rule", [None, Surcharge("frame_rate", Decimal(48), Decimal(2))])
def test_no_surcharge_on_unknown_values(rule: Surcharge | None) -> None:
    """Without a surcharge rule, or without the measured value it needs, the factor is 1."""
    assert surcharge_factor(rule, {}) == 1


def test_a_quote_shows_its_calculation() -> None:
    """A quote has the quantity, the rate and the calculation as text."""
    rule = Billing(
        unit="point",
        quantity=Quantity(of="seconds"),
        rate=Rate(by="output_height", tiers=TIERS),
        evidence=WHY,
        surcharge=Surcharge("frame_rate", Decimal(48), Decimal(2)),
        unit_per=Decimal(1000),
    )
    measured: dict[str, Any] = {
        "seconds": Decimal("2.50"),
        "frame_rate": Fraction(60),
        "output_height": 720,
    }

    assert quote(rule, measured) == PriceQuote(
        amount=Decimal(2500),
        unit="point",
        quantity=Decimal("2.5"),
        rate=Decimal(1000),
        tier="small",
        formula="2.5 seconds × 0.5 × 2 × 1000 = 2500 points",
        inputs=(("frame_rate", "60"), ("output_height", "720"), ("seconds", "2.50")),
    )


@given(st.decimals(-(10**12), 10**12, places=6))
def test_plain_form_changes_only_the_spelling(amount: Decimal) -> None:
    """The plain form of a number has the same value, without an exponent or trailing zeros."""
    text = str(plain(amount))

    assert Decimal(text) == amount
    assert "E" not in text
    assert not ("." in text and text.endswith("0"))
