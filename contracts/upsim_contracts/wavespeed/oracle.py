"""Compute the published price of a WaveSpeedAI job, independently of the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from upsim_contracts.clip_properties import ClipProperties

MIN_SECONDS = Decimal(5)
USD_PER_FIVE_SECONDS = {
    "720p": Decimal("0.025"),
    "1080p": Decimal("0.025"),
    "2k": Decimal("0.05"),
    "4k": Decimal("0.10"),
}
DEFAULT_TARGET = "1080p"
USD_A_SECOND_OF_UPSCALE_V1 = Decimal("0.02")
MAX_LENGTH = Decimal(600)


def price(call: str, clip: ClipProperties | None, body: Mapping[str, Any]) -> Decimal | None:
    """Return the USD price: `upscaler` rounds seconds up, `upscale_v1` down; both bill at least 5.

    Without a clip, return the price of the longest clip at the highest rate.
    """
    length = MAX_LENGTH if clip is None else clip.seconds
    if call == "upscale_v1":
        seconds = max(MIN_SECONDS, length.to_integral_value(ROUND_FLOOR))
        return seconds * USD_A_SECOND_OF_UPSCALE_V1
    target = body.get("target_resolution", DEFAULT_TARGET)
    five = USD_PER_FIVE_SECONDS.get(target) if isinstance(target, str) else None
    seconds = max(MIN_SECONDS, length.to_integral_value(ROUND_CEILING))
    if clip is None:
        five = max(USD_PER_FIVE_SECONDS.values())
    return None if five is None else seconds * five / 5
