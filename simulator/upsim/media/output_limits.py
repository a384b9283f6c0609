"""Limits on measured videos: the simulator must be able to make an output."""

from __future__ import annotations

from fractions import Fraction

from upsim.core.media import MICROSECONDS, Measured, Unmeasurable
from upsim.media.clip_names import MAX_FRAMES

MAX_SECONDS = 86_400
SLOWEST, FASTEST = Fraction(1, 3_600), Fraction(1_000)


def bounded(measured: Measured) -> Measured:
    """Return the measurement, or a problem if no output can be made for the video.

    The limits are the simulator's own, far above the limits of any provider.
    """
    if isinstance(measured, Unmeasurable):
        return measured
    rate = measured.frame_rate
    if measured.frames > MAX_FRAMES:
        detail = f"it has {measured.frames} frames; the maximum is {MAX_FRAMES}"
    elif not SLOWEST <= rate <= FASTEST:
        detail = f"it has {float(rate):g} frames per second; {SLOWEST} to {FASTEST} are allowed"
    elif measured.duration > MAX_SECONDS * MICROSECONDS:
        detail = f"it lasts {measured.seconds:f} seconds; the maximum is {MAX_SECONDS}"
    else:
        return measured
    return Unmeasurable("beyond_own_limits", detail)
