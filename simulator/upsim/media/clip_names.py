"""The synthetic library: the videos that it offers, and the format of their names.

A name reads `<W>x<H>_<fps>fps_<seconds>s[_silent].<mp4|mov|mkv|webm>`; `<fps>` is a
decimal or a fraction written `30000-1001`. This module generates no file, so importing it
is cheap.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Literal, get_args

import msgspec

from upsim.core.media import MICROSECONDS
from upsim.core.numbers import counted

ClipContainer = Literal["mp4", "mov", "mkv", "webm"]

CONTAINERS: tuple[ClipContainer, ...] = get_args(ClipContainer)
CONTENT_TYPES: dict[ClipContainer, str] = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
}
Seconds = str | float | Decimal
Rate = Seconds | Fraction
MAX_SIDE = 16_384
MAX_RATE = 240
MAX_SECONDS = 3_600
MAX_FRAMES = 60 * 86_400
MAX_BYTES = 1 << 30
MAX_PADDED = 256 << 20
MAX_VP9_PIXELS = 4_096 * 4_096  # a second and a gigabyte to encode
FORM = "<W>x<H>_<fps>fps_<seconds>s[_silent].<mp4|mov|mkv|webm>"
EXAMPLE = "1280x720_30fps_10s.mp4"

_NAME = re.compile(
    r"(?P<width>\d+)x(?P<height>\d+)_(?P<rate>[\d.-]+)fps_(?P<seconds>[\d.]+)s"
    r"(?P<silent>_silent)?\.(?P<container>[A-Za-z0-9]+)",
    re.ASCII,
)
_SIZE = re.compile(r"\d+x\d+", re.ASCII)
_DECIMAL = re.compile(r"\d{1,5}(\.\d{1,6})?", re.ASCII)
_FRACTION = re.compile(r"(\d{1,9})-(\d{1,9})", re.ASCII)


class ClipNameError(ValueError):
    """A clip that cannot be made; the message names the property, its value and allowed values."""


class ClipRoomError(ClipNameError):
    """A valid clip whose file does not fit on the disk or in the store."""


class SyntheticClip(msgspec.Struct, frozen=True):
    """A video to generate; equal clips give equal bytes.

    `duration` is the container's, in microseconds. It usually equals the duration of the
    frames, but may differ if the audio is longer or a measured input differs. `padded_to` is
    the exact size of the file in bytes, or None for its natural size.
    """

    width: int
    height: int
    frame_rate: Fraction
    frames: int
    duration: int
    audio: bool = True
    container: ClipContainer = "mp4"
    padded_to: int | None = None

    def __post_init__(self) -> None:
        """Raise ClipNameError for properties that no file can have."""
        _bound("width", self.width, 1, MAX_SIDE)
        _bound("height", self.height, 1, MAX_SIDE)
        _bound("frames", self.frames, 1, MAX_FRAMES)
        if self.duration < 1 or self.frame_rate <= 0:
            raise ClipNameError(
                f"duration {self.duration} us at {self.frame_rate} fps: both must be above 0"
            )
        if self.padded_to is not None:
            _bound("bytes", self.padded_to, 1, MAX_PADDED)

    @property
    def seconds(self) -> Decimal:
        """The exact duration of the container in seconds."""
        return Decimal(self.duration) / MICROSECONDS

    @property
    def content_type(self) -> str:
        """The media type of the file."""
        return CONTENT_TYPES[self.container]


def duration_of(frames: int, frame_rate: Fraction) -> int:
    """Return the duration of `frames` at `frame_rate`, in microseconds, rounded half up.

    >>> duration_of(100, Fraction(30))
    3333333
    """
    exact = frames * MICROSECONDS / frame_rate
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)


def parse_clip_name(name: str, padded_to: int | None = None) -> SyntheticClip:
    """Return the clip that a file name of the synthetic library describes.

    Raises `ClipNameError` for a name with another format or with values out of bounds.
    Seconds must be a whole number of frames, to the microsecond.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ClipNameError(f"clip name {name[:200]!r} is not {FORM}, for example {EXAMPLE}")
    rate = _parse_rate(match["rate"])
    frames, duration = _parse_seconds(match["seconds"], rate)
    return SyntheticClip(
        width=_parse_side("width", match["width"]),
        height=_parse_side("height", match["height"]),
        frame_rate=rate,
        frames=frames,
        duration=duration,
        audio=match["silent"] is None,
        container=_parse_container(match["container"]),
        padded_to=padded_to,
    )


def clip_name(size: str, rate: Rate, seconds: Seconds) -> str:
    """Return the name of an MP4 clip with audio.

    Raises `ClipNameError` for an impossible clip.

    >>> clip_name("1280x720", Fraction(30000, 1001), Decimal("10.01"))
    '1280x720_30000-1001fps_10.01s.mp4'
    """
    if not isinstance(size, str):
        raise ClipNameError(f"size must be a text such as '640x360', not {size!r}")
    if _SIZE.fullmatch(size) is None:
        raise ClipNameError(f"size {size[:20]!r} is not <width>x<height> such as 1280x720")
    rate_text, seconds_text = _written(rate).replace("/", "-"), _written(seconds)
    _parse_seconds(seconds_text, _parse_rate(rate_text))
    name = f"{size}_{rate_text}fps_{seconds_text}s.mp4"
    parse_clip_name(name)
    return name


def _written(value: Rate) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _bound(thing: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ClipNameError(f"{thing} {value} is outside {low}..{high}")


def _parse_side(thing: str, text: str) -> int:
    if len(text) > len(str(MAX_SIDE)):
        raise ClipNameError(f"{thing} {text[:20]} is outside 1..{MAX_SIDE}")
    return int(text)


def _parse_rate(text: str) -> Fraction:
    fraction = _FRACTION.fullmatch(text)
    if fraction is not None and int(fraction[2]) > 0:
        rate = Fraction(int(fraction[1]), int(fraction[2]))
    elif _DECIMAL.fullmatch(text):
        rate = Fraction(text)
    else:
        raise ClipNameError(
            f"frame rate {text[:20]!r} is neither a decimal like 29.97 nor a fraction like"
            " 30000-1001"
        )
    if not 0 < rate <= MAX_RATE:
        raise ClipNameError(f"frame rate {text} is outside 0..{MAX_RATE} (0 excluded)")
    return rate


def _parse_seconds(text: str, rate: Fraction) -> tuple[int, int]:
    """Return the number of frames, and the microseconds, of `text` seconds at `rate`."""
    if not _DECIMAL.fullmatch(text):
        raise ClipNameError(f"seconds {text[:20]!r} are no decimal with up to six places")
    wanted = Fraction(text)
    if not 0 < wanted <= MAX_SECONDS:
        raise ClipNameError(f"seconds {text} are outside 0..{MAX_SECONDS} (0 excluded)")
    below = int(wanted * rate)
    choices = {duration_of(n, rate): n for n in (below, below + 1) if n > 0}
    microseconds = int(wanted * MICROSECONDS)
    if microseconds not in choices:
        raise ClipNameError(_no_whole_frames(text, rate, choices))
    return choices[microseconds], microseconds


def _no_whole_frames(text: str, rate: Fraction, choices: dict[int, int]) -> str:
    nearest = " or ".join(
        f"{_decimal(duration)} ({counted(frames, 'frame')})" for duration, frames in choices.items()
    )
    return f"seconds {text} are no whole number of frames at {rate} fps; nearest: {nearest}"


def _decimal(microseconds: int) -> str:
    return f"{(Decimal(microseconds) / MICROSECONDS).normalize():f}"


def _parse_container(text: str) -> ClipContainer:
    for container in CONTAINERS:
        if text == container:
            return container
    raise ClipNameError(f"container {text[:20]!r} is not one of {', '.join(CONTAINERS)}")
