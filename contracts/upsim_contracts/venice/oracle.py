"""Compute the published price of a Venice job, independently of the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from upsim_contracts.clip_properties import ClipProperties

TIERS = ((720, Decimal("0.013")), (1080, Decimal("0.025")))
ABOVE = Decimal("0.10")
FAST = 48
FACTORS = (1, 2, 4)
DEFAULT_FACTOR = 2
SMALLEST = Decimal("0.000001")
"""Nothing is documented of rounding; six decimals, half up, is what is assumed."""
MAX_LENGTH = Decimal(300)


def price(_call: str, clip: ClipProperties | None, body: Mapping[str, Any]) -> Decimal | None:
    """Return the price in USD: seconds × the rate for the output's lines, doubled above 48 fps.

    Without a clip, return the price of the most expensive clip.
    """
    if clip is None:
        return ABOVE * 2 * MAX_LENGTH
    factor = body.get("upscale_factor", DEFAULT_FACTOR)
    if factor not in FACTORS:
        return None
    lines = clip.height * int(factor)
    rate = next((rate for most, rate in TIERS if lines <= most), ABOVE)
    times = 2 if clip.fps > FAST else 1
    return (rate * times * clip.seconds).quantize(SMALLEST, ROUND_HALF_UP)
