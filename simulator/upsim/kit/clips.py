"""Clips: videos with exact properties, near the limits of a model."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from hypothesis import strategies as st

from upsim.client.argument_checks import MAX_SECONDS, Numbers, check_number
from upsim.client.exceptions import ArgumentError
from upsim.kit.model_limits import LARGEST, ModelLimits, limits_of

RATES = (10, 25, 50)
"""Frame rates whose frame durations are exact decimals; one is above the usual limit of 48."""
CLIP_SECONDS = Numbers("3", maximum=MAX_SECONDS)
SIZES = ((64, 48), (48, 64), (160, 120), (320, 240))


class Clip(NamedTuple):
    """A video of the synthetic library, generated on request with exactly these properties."""

    width: int
    height: int
    fps: int
    frames: int
    container: str = "mp4"

    @property
    def seconds(self) -> Decimal:
        """The exact duration in seconds."""
        return Decimal(self.frames) / self.fps

    @property
    def name(self) -> str:
        """The name in the synthetic library."""
        seconds = f"{self.seconds.normalize():f}"
        return f"{self.width}x{self.height}_{self.fps}fps_{seconds}s.{self.container}"

    def url(self, base_url: str) -> str:
        """Return the clip's URL on a simulator."""
        return f"{base_url}/media/synthetic/{self.name}"

    def __repr__(self) -> str:
        """Show the name in the synthetic library."""
        return f"<Clip {self.name}>"


def clips(model: str, *, longest: float | Decimal | None = None) -> st.SearchStrategy[Clip]:
    """Return a strategy of clips that the model accepts, typical and at the limits.

    Raises ArgumentError, for example if no clip of at most `longest` seconds fits.
    """
    bounds = limits_of(model)
    if longest is not None:
        check_seconds("longest", longest)
    most = None if longest is None else Decimal(str(longest))
    found = [
        Clip(width, height, fps, frames, container)
        for fps in RATES
        for width, height in sizes(bounds)
        for frames in lengths(bounds, fps)
        for container in bounds.containers
        if most is None or Decimal(frames) / fps <= most
    ]
    if not found:
        raise ArgumentError(f"longest is too short: {model} accepts no clip of at most {longest} s")
    return st.sampled_from(sorted(found, key=_plainness))


def check_seconds(name: str, value: object) -> None:
    """Raise ArgumentError for a value that is not a number of seconds."""
    check_number(name, float(value) if isinstance(value, Decimal) else value, CLIP_SECONDS)


def sizes(bounds: ModelLimits) -> Iterator[tuple[int, int]]:
    """Yield sizes that the model accepts: small, the largest, and at the edge of a price tier."""
    yield from SIZES
    if bounds.long_side and bounds.short_side:
        yield bounds.long_side, bounds.short_side
    for height in bounds.heights:
        if height <= LARGEST:
            yield height, height


def lengths(bounds: ModelLimits, fps: int) -> list[int]:
    """Return frame counts that the model accepts: near the limits, and between them."""
    edges = {2 * fps, bounds.min_frames}
    if bounds.max_frames is not None:
        edges.add(bounds.max_frames)
    for seconds in (bounds.max_seconds, bounds.billed_seconds, Decimal(1)):
        if seconds is not None:
            edges.add(int(seconds * fps))
    near = {edge + more for edge in edges for more in (-1, 0, 1)}
    return sorted(frames for frames in near if accepts_length(bounds, fps, frames))


def accepts_length(bounds: ModelLimits, fps: int, frames: int) -> bool:
    """Return whether a duration is within the limits."""
    long = bounds.max_seconds is not None and Decimal(frames) / fps > bounds.max_seconds
    many = bounds.max_frames is not None and frames > bounds.max_frames
    return frames >= max(1, bounds.min_frames) and not long and not many


def _plainness(clip: Clip) -> tuple[object, ...]:
    """Return a sort key with the simplest clips first; Hypothesis shrinks examples towards them."""
    usual = clip.container != "mp4", clip.fps != RATES[0], clip.frames % clip.fps != 0
    return (*usual, clip.frames, clip.width * clip.height, clip)
