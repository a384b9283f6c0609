"""Compute the promised properties of an output from the provider's table."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from upsim_contracts.clip_properties import ClipProperties
from upsim_contracts.suite.generate_table import Submit
from upsim_contracts.suite.strategies.bodies import Options


def size_of_output(submit: Submit, clip: ClipProperties, options: Options) -> tuple[int, int]:
    """Return the width and height that the provider promises for a clip."""
    rule = submit.output
    times = rule.times
    if rule.times_by is not None:
        times = int(options[rule.times_by])
    if times is not None:
        return clip.width * times, clip.height * times
    side = rule.short_side
    if rule.short_side_by is not None:
        side = rule.table[options[rule.short_side_by]]
    assert side is not None
    short = min(clip.width, clip.height)
    if short >= side:
        return clip.width, clip.height
    return _scaled(clip.width, side, short), _scaled(clip.height, side, short)


def _scaled(length: int, side: int, short: int) -> int:
    """Return a scaled length: `side` for the short side, else the nearest even number."""
    if length == short:
        return side
    half = Fraction(length * side, short) / 2
    rounded = (Decimal(half.numerator) / half.denominator).to_integral_value(ROUND_HALF_UP)
    return int(rounded) * 2
