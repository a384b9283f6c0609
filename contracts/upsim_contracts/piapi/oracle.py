"""What PiAPI publishes as the price of a task, worked out once more from its own page."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from upsim_contracts.clips import ClipProperties

USD_A_FRAME = Decimal("0.0003")
MAX_FRAMES = 240


def price(_call: str, clip: ClipProperties | None, _body: Mapping[str, Any]) -> Decimal | None:
    """USD: the frames of the input × 0.0003, whatever their size and rate.

    Without a clip it is what the longest one costs.
    """
    return (MAX_FRAMES if clip is None else clip.frames) * USD_A_FRAME
