"""Compute the published price of a VicSee job, independently of the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

from upsim_contracts.clip_properties import ClipProperties

CREDITS_A_SECOND = {"1": 16, "2": 16, "4": 28}
DEFAULT_FACTOR = "2"
MAX_LENGTH = Decimal(60)


def price(_call: str, clip: ClipProperties | None, body: Mapping[str, Any]) -> Decimal | None:
    """Return the credits: the factor's rate × the seconds rounded up; None for an unknown factor.

    Without a clip, return the price of the longest clip at the highest rate.
    """
    if clip is None:
        return max(CREDITS_A_SECOND.values()) * MAX_LENGTH
    inner = body.get("input")
    factor = (inner if isinstance(inner, Mapping) else body).get("upscale_factor", DEFAULT_FACTOR)
    rate = CREDITS_A_SECOND.get(factor) if isinstance(factor, str) else None
    return None if rate is None else rate * clip.seconds.to_integral_value(ROUND_CEILING)
