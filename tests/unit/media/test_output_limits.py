"""Measured videos that no output could be made for are not measured at all."""

from __future__ import annotations

from fractions import Fraction

import pytest
from msgspec.structs import replace

from upsim.core.media import Media, Unmeasurable
from upsim.media.clip_names import MAX_FRAMES, parse_clip_name
from upsim.media.output_limits import FASTEST, MAX_SECONDS, SLOWEST, bounded
from upsim.media.probe import measure_file
from upsim.media.synthetic import make_clip

PLAIN = Media(10_000_000, Fraction(30), 640, 360, 300, "mp4", audio=True, size=1_000)
CLIP = make_clip(parse_clip_name("64x64_30fps_1s.mp4"))
AT = CLIP.index(b"mdhd") + 4 + 12
"""Where the timescale of the pictures is."""


@pytest.mark.parametrize(
    "media",
    [
        PLAIN,
        replace(PLAIN, frames=MAX_FRAMES),
        replace(PLAIN, frame_rate=SLOWEST),
        replace(PLAIN, frame_rate=FASTEST),
        replace(PLAIN, duration=MAX_SECONDS * 1_000_000),
    ],
)
def test_values_at_the_limits_are_accepted(media: Media) -> None:
    """A video exactly at a limit is accepted unchanged."""
    assert media == bounded(media)


@pytest.mark.parametrize(
    ("media", "detail"),
    [
        (replace(PLAIN, frames=5_184_001), "it has 5184001 frames; the maximum is 5184000"),
        (
            replace(PLAIN, frame_rate=Fraction(100_000)),
            "it has 100000 frames per second; 1/3600 to 1000 are allowed",
        ),
        (
            replace(PLAIN, frame_rate=Fraction(1, 4_294_967_295)),
            "it has 2.32831e-10 frames per second; 1/3600 to 1000 are allowed",
        ),
        (
            replace(PLAIN, duration=86_400_000_001),
            "it lasts 86400.000001 seconds; the maximum is 86400",
        ),
    ],
)
def test_values_above_the_limits_are_named(media: Media, detail: str) -> None:
    """The refusal of a video above a limit names the property and the limit."""
    assert Unmeasurable("beyond_own_limits", detail) == bounded(media)


def test_a_refused_measurement_stays_unchanged() -> None:
    """The limits leave a refused measurement unchanged."""
    refused = Unmeasurable("not_a_video", "It is a page.")
    assert refused == bounded(refused)


def test_a_file_above_the_limits_is_refused() -> None:
    """A file with an absurd frame rate in its header is refused by the limits."""
    measured = measure_file(CLIP[:AT] + b"\xff" * 4 + CLIP[AT + 4 :])
    assert isinstance(measured, Unmeasurable)
    assert measured.reason == "beyond_own_limits"
