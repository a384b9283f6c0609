"""What a worker is asked to make of the source of a job; importing it needs no PyAV."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class ResamplePlan:
    """Size, sound and duration (in microseconds) of a resampled output.

    `pace` is the rate at which pictures are shown that would outlast the duration at their own
    times; None keeps these times.
    """

    width: int
    height: int
    keep_audio: bool
    duration: int
    pace: Fraction | None = None
