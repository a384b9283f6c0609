"""Strategies for clips that a request accepts, more often at and near the limits."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import cache

from hypothesis import strategies as st

from upsim_contracts.clip_properties import ClipProperties
from upsim_contracts.suite.generate_table import Clips, finite

FAR = Fraction(60)
"""Longer clips are made near edges only: they are the same, and take longer."""
MAX_FRAMES_A_STEP = 10_000


def clips(table: Clips) -> st.SearchStrategy[ClipProperties]:
    """Return a strategy for any accepted clip."""
    at_rate = {rate: _at_rate(table, Fraction(rate)) for rate in table.rates}
    return st.sampled_from(list(at_rate)).flatmap(at_rate.__getitem__)


def short(table: Clips) -> Clips:
    """Return the table with only short clips of the first sizes, away from the limits."""
    few = replace(table, sizes=table.sizes[:2], near={})
    return few if few.frames else replace(few, seconds=["0.5", "6"])


def frame_counts(table: Clips, rate: Fraction) -> st.SearchStrategy[int]:
    """Return a strategy for accepted frame counts, in steps whose durations are exact decimals."""
    step = whole_step(rate)
    least, most = bounds(table, rate)
    edges = [round(Fraction(str(edge)) * rate) for edge in table.near.get("seconds", ())]
    edges += [int(edge) for edge in table.near.get("frames", ())]
    near = {
        count + beside
        for edge in edges
        for count in (edge // step * step, -(-edge // step) * step)
        for beside in (-step, 0, step)
    }
    allowed = sorted(count for count in near if least <= count <= most)
    far = min(most, int(FAR * rate))
    steps = st.integers(-(-least // step), far // step).map(lambda number: number * step)
    return st.sampled_from(allowed) | steps if allowed else steps


def bounds(table: Clips, rate: Fraction) -> tuple[int, int]:
    """Return the fewest and the most frames that are accepted at a frame rate."""
    if table.frames:
        return table.frames[0], table.frames[1]
    shortest, longest = (Fraction(str(length)) * rate for length in table.seconds)
    return max(1, -(-shortest.numerator // shortest.denominator)), int(longest)


@cache
def whole_step(rate: Fraction) -> int:
    """Return the smallest frame count whose duration is an exact decimal.

    Every multiple of it has an exact duration too.
    """
    return next(n for n in range(1, MAX_FRAMES_A_STEP) if finite(n / rate))


def with_frames(clip: ClipProperties, frames: int) -> ClipProperties:
    """Return the same clip with this number of frames."""
    return replace(clip, seconds=_decimal(frames / clip.fps))


def _at_rate(table: Clips, rate: Fraction) -> st.SearchStrategy[ClipProperties]:
    sizes = st.sampled_from([tuple(map(int, size.split("x"))) for size in table.sizes])
    heights = table.near.get("heights", ())
    if heights:
        sizes |= st.sampled_from([(64, height) for height in heights])
    return st.builds(
        lambda size, frames, container, audio: ClipProperties(
            width=size[0],
            height=size[1],
            fps=rate,
            seconds=_decimal(frames / rate),
            audio=audio,
            container=container,
        ),
        sizes,
        frame_counts(table, rate),
        st.sampled_from(list(table.containers)),
        st.booleans(),
    )


def _decimal(number: Fraction) -> Decimal:
    return Decimal(number.numerator) / Decimal(number.denominator)
