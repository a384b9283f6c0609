"""The plan for an output made of a job's source; importing it needs no PyAV."""

from __future__ import annotations

from fractions import Fraction

import msgspec


class ResamplePlan(msgspec.Struct, frozen=True):
    """Size, audio and duration (in microseconds) of a resampled output.

    `pace` is the frame rate to use if the source's frame times would exceed the duration.
    If `pace` is None, the frames keep the times of the source.
    """

    width: int
    height: int
    keep_audio: bool
    duration: int
    pace: Fraction | None = None
