"""Measurements as JSON, for the pipe between the worker process and its parent."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from upsim.core.media import Measured, Media, Unmeasurable


def to_json(measured: Measured) -> dict[str, Any]:
    """Return a measurement as plain JSON."""
    if isinstance(measured, Unmeasurable):
        return {"reason": measured.reason, "detail": measured.detail}
    return {
        "duration": measured.duration,
        "frame_rate": [measured.frame_rate.numerator, measured.frame_rate.denominator],
        "width": measured.width,
        "height": measured.height,
        "frames": measured.frames,
        "container": measured.container,
        "audio": measured.audio,
        "size": measured.size,
    }


def from_json(answer: dict[str, Any]) -> Measured:
    """Return the measurement that `to_json` wrote."""
    if "reason" in answer:
        return Unmeasurable(answer["reason"], answer["detail"])
    return Media(**{**answer, "frame_rate": Fraction(*answer["frame_rate"])})
