"""The plan for an output made of a job's source; importing it needs no PyAV."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class ResamplePlan:
    """Size, audio and duration (in microseconds) of a resampled output.

    `pace` is the frame rate if the frames would exceed the duration at their own times; None keeps
    these times.
    """

    width: int
    height: int
    keep_audio: bool
    duration: int
    pace: Fraction | None = None
