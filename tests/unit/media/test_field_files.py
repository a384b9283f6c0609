"""Files that users sent: both ways of measuring find what `ffprobe` 5.1 finds."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from upsim.core.media import Measured, Media
from upsim.media.demux import measure_by_demuxing
from upsim.media.mp4_measuring import measure_boxes

FILES = Path(__file__).parents[2] / "fixtures" / "media"
Found = tuple[int, int, str, Fraction, str]

EXPECTED: dict[str, Found] = {
    "trim_tiny.mp4": (2_000_000, 60, "64x48", Fraction(30), "mp4"),
    "trim_264of240.mp4": (8_000_000, 240, "64x48", Fraction(30), "mp4"),
    "mvhd_rot90.mp4": (8_000_000, 240, "48x64", Fraction(30), "mp4"),
    "free_first.mp4": (2_000_000, 60, "64x48", Fraction(30), "mp4"),
    "empty_edit.mp4": (3_500_000, 60, "64x48", Fraction(30), "mp4"),
    "hdr_hevc.mp4": (2_002_000, 48, "320x240", Fraction(24_000, 1_001), "mp4"),
    "frag_audio_longer.mp4": (3_023_220, 30, "64x48", Fraction(153_600, 5_239), "mp4"),
    "same_with_duration.webm": (20_021_000, 60, "64x48", Fraction(30), "webm"),
    "webm_static_screen_sound.webm": (20_014_000, 60, "64x48", Fraction(30), "webm"),
}
NEED_A_DEMUXER = {name for name in EXPECTED if name.endswith(".webm") or name.startswith("frag_")}


def _found(media: Measured | None) -> Found:
    assert isinstance(media, Media), media
    size = f"{media.width}x{media.height}"
    return media.duration, media.frames, size, media.frame_rate, media.container


@pytest.mark.parametrize("name", list(EXPECTED))
def test_demuxer_measures_what_a_player_shows(name: str) -> None:
    """The demuxer counts shown frames, applies the rotation, and ends with the last packet."""
    assert EXPECTED[name] == _found(measure_by_demuxing(FILES / name))


@pytest.mark.parametrize("name", sorted(EXPECTED.keys() - NEED_A_DEMUXER))
def test_boxes_measure_what_a_player_shows(name: str) -> None:
    """The boxes of a file alone give the same values as the demuxer."""
    assert EXPECTED[name] == _found(measure_boxes(FILES / name))


@pytest.mark.parametrize("name", sorted(NEED_A_DEMUXER))
def test_boxes_leave_incomplete_files_to_the_demuxer(name: str) -> None:
    """A file whose boxes lack information is not measured by the box reader."""
    assert measure_boxes(FILES / name) is None
