"""Compute the published price of a PiAPI task, independently of the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from upsim_contracts.clip_properties import ClipProperties

USD_A_FRAME = Decimal("0.0003")
MAX_FRAMES = 240


def price(_call: str, clip: ClipProperties | None, _body: Mapping[str, Any]) -> Decimal | None:
    """Return the price in USD: 0.0003 for each frame of the input, of any size and rate.

    Without a clip, return the price of the longest clip.
    """
    return (MAX_FRAMES if clip is None else clip.frames) * USD_A_FRAME
