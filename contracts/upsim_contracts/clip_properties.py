"""Clips by their properties (`854x480 30fps 4.5s`), and the path of such a file on a simulator."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from upsim_contracts.exceptions import ClipError

AVI = "avi"
GONE = "gone"
"""What a step names for a link to no file, at the server of the clips."""
GONE_PATH = "/media/synthetic/gone.mp4"
_TEXT = re.compile(
    r"(?P<width>\d+)x(?P<height>\d+) (?P<fps>\d+(?:\.\d+|/\d+)?)fps (?P<seconds>\d+(?:\.\d+)?)s"
    r"(?P<silent> silent)?(?: (?P<container>mp4|mov|mkv|webm|avi))?(?: (?P<bytes>\d+)bytes)?"
)


@dataclass(frozen=True, slots=True)
class ClipProperties:
    """The properties of a video: width and height in pixels, exact `fps` and `seconds`.

    `size` is the file's size in bytes, or None for any size.

    `seconds` is a whole number of frames.
    """

    width: int
    height: int
    fps: Fraction
    seconds: Decimal
    audio: bool = True
    container: str = "mp4"
    size: int | None = None

    def __str__(self) -> str:
        """Return the text that `clip` reads."""
        rate = f"{self.fps}"
        silent = "" if self.audio else " silent"
        size = f" {self.size}bytes" if self.size is not None else ""
        text = f"{self.width}x{self.height} {rate}fps {self.seconds:f}s{silent}"
        return f"{text} {self.container}{size}"

    @property
    def frames(self) -> int:
        """The number of frames."""
        return round(Fraction(self.seconds) * self.fps)

    @property
    def path(self) -> str:
        """The simulator's path for a file with these properties; an AVI is made from its MP4."""
        rate = f"{self.fps}".replace("/", "-")
        container = "mp4" if self.container == AVI else self.container
        silent = "" if self.audio else "_silent"
        name = f"{self.width}x{self.height}_{rate}fps_{self.seconds:f}s{silent}.{container}"
        padding = f"?bytes={self.size}" if self.size is not None else ""
        return f"/media/synthetic/{name}{padding}"


def clip(text: str) -> ClipProperties:
    """Return the clip that a text describes.

    The text has size, rate and length, then `silent`, container, bytes. Raises ClipError.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        form = "854x480 30fps 4.5s [silent] [mp4|mov|mkv|webm|avi] [<n>bytes]"
        raise ClipError(f"{text!r} describes no clip; its form is {form}")
    size = found["bytes"]
    return ClipProperties(
        width=int(found["width"]),
        height=int(found["height"]),
        fps=Fraction(found["fps"]),
        seconds=Decimal(found["seconds"]),
        audio=found["silent"] is None,
        container=found["container"] or "mp4",
        size=int(size) if size else None,
    )
