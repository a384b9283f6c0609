"""The properties of a video file, or the reason why they are unknown."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Literal

import msgspec

MICROSECONDS = 1_000_000

Container = Literal["mp4", "mov", "mkv", "webm", "avi", "other"]


class Media(msgspec.Struct, frozen=True):
    """One measured video.

    `duration` is in integer microseconds as the container states it, `frame_rate` the average rate
    as an exact fraction, `width` and `height` the displayed size (after rotation), `frames` the
    number of samples of the video track, `size` the bytes of the file.
    """

    duration: int
    frame_rate: Fraction
    width: int
    height: int
    frames: int
    container: Container
    audio: bool
    size: int

    @property
    def dimensions(self) -> str:
        """The displayed size in pixels, such as `1280x720`."""
        return f"{self.width}x{self.height}"

    @property
    def seconds(self) -> Decimal:
        """The exact duration in seconds."""
        return Decimal(self.duration) / MICROSECONDS


Reason = Literal[
    "unreachable", "not_a_video", "too_large", "not_decodable", "beyond_own_limits", "no_room"
]


class Unmeasurable(msgspec.Struct, frozen=True):
    """The reason why a video could not be measured; `detail` is a sentence for people."""

    reason: Reason
    detail: str


Measured = Media | Unmeasurable
