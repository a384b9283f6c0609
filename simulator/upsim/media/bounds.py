"""Which measured videos are worked with: those that an output can be made for."""

from __future__ import annotations

from fractions import Fraction

from upsim.core.media import MICROSECONDS, Measured, Unmeasurable
from upsim.media.clip import MAX_FRAMES

MAX_SECONDS = 86_400
SLOWEST, FASTEST = Fraction(1, 3_600), Fraction(1_000)


def bounded(measured: Measured) -> Measured:
    """The measurement, unless it is of a video that no output can be made for.

    The bounds are our own, far beyond what any provider takes.
    """
    if isinstance(measured, Unmeasurable):
        return measured
    rate = measured.frame_rate
    if measured.frames > MAX_FRAMES:
        detail = f"It has {measured.frames} pictures; at most {MAX_FRAMES} are read."
    elif not SLOWEST <= rate <= FASTEST:
        detail = f"It has {float(rate):g} pictures a second; {SLOWEST} to {FASTEST} are read."
    elif measured.duration > MAX_SECONDS * MICROSECONDS:
        detail = f"It lasts {measured.seconds:f} seconds; at most {MAX_SECONDS} are read."
    else:
        return measured
    return Unmeasurable("not_decodable", detail)
