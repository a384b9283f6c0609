"""The grammar of the synthetic library."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsim.media.clip_names import (
    ClipNameError,
    Rate,
    Seconds,
    SyntheticClip,
    clip_name,
    duration_of,
    parse_clip_name,
)

EXACT = SyntheticClip(
    width=1280, height=720, frame_rate=Fraction(30), frames=300, duration=10_000_000, audio=True
)


def test_a_plain_name_has_all_properties() -> None:
    """A plain clip name gives size, rate and seconds; the defaults are audio and MP4."""
    assert parse_clip_name("1280x720_30fps_10s.mp4") == EXACT


def test_silent_and_container_are_read() -> None:
    """`_silent` removes the audio, and the file extension selects the container."""
    clip = parse_clip_name("2x2_1fps_1s_silent.webm")
    assert (clip.audio, clip.container, clip.content_type) == (False, "webm", "video/webm")


@pytest.mark.parametrize(
    ("written", "rate"),
    [
        ("30000-1001", Fraction(30000, 1001)),
        ("29.97", Fraction(2997, 100)),
        ("0.5", Fraction(1, 2)),
        ("240", Fraction(240)),
    ],
)
def test_rates_are_decimals_or_fractions(written: str, rate: Fraction) -> None:
    """A frame rate is read exactly, in either spelling."""
    seconds = {Fraction(30000, 1001): "10.01", Fraction(2997, 100): "100"}.get(rate, "2")
    assert rate == parse_clip_name(f"64x64_{written}fps_{seconds}s.mp4").frame_rate


def test_seconds_are_exact() -> None:
    """The seconds of a clip are a decimal, not a float."""
    assert Decimal("10.01") == parse_clip_name("64x64_30000-1001fps_10.01s.mp4").seconds


def test_padding_is_read() -> None:
    """`?bytes=` sets the size of the file."""
    assert parse_clip_name("64x64_1fps_1s.mp4", 5_000).padded_to == 5_000


def test_half_a_frame_is_refused_with_the_nearest_durations() -> None:
    """If the seconds are not a whole number of frames, the error names both nearest durations."""
    with pytest.raises(ClipNameError) as refusal:
        parse_clip_name("64x64_30000-1001fps_10s.mp4")
    expected = (
        "seconds 10 are no whole number of frames at 30000/1001 fps; nearest: "
        "9.976633 (299 frames) or 10.01 (300 frames)"
    )
    assert expected == str(refusal.value)


def test_the_nearest_durations_are_accepted() -> None:
    """The durations that a refusal suggests, rounded to the microsecond, are accepted."""
    assert parse_clip_name("64x64_30000-1001fps_9.976633s.mp4").frames == 299


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nonsense", "clip name 'nonsense' is not <W>x<H>"),
        ("0x720_30fps_10s.mp4", "width 0 is outside 1..16384"),
        ("1280x16385_30fps_10s.mp4", "height 16385 is outside 1..16384"),
        ("1280x99999999_30fps_10s.mp4", "height 99999999 is outside 1..16384"),
        ("1280x720_0fps_10s.mp4", "frame rate 0 is outside 0..240 (0 excluded)"),
        ("1280x720_241fps_10s.mp4", "frame rate 241 is outside 0..240 (0 excluded)"),
        ("1280x720_30-0fps_10s.mp4", "frame rate '30-0' is neither a decimal"),
        ("1280x720_30fps_0s.mp4", "seconds 0 are outside 0..3600 (0 excluded)"),
        ("1280x720_30fps_3601s.mp4", "seconds 3601 are outside 0..3600 (0 excluded)"),
        ("1280x720_30fps_1.2.3s.mp4", "seconds '1.2.3' are no decimal"),
        ("1280x720_30fps_10s.avi", "container 'avi' is not one of mp4, mov, mkv, webm"),
        ("64x64_30fps_0.01s.mp4", "nearest: 0.033333 (1 frame)"),
    ],
)
def test_a_refusal_names_part_value_and_allowed_values(name: str, says: str) -> None:
    """The error for each part of a clip name has the part, its value and the allowed values."""
    with pytest.raises(ClipNameError) as refusal:
        parse_clip_name(name)
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ("rate", "seconds", "expected"),
    [
        ("30000-1001", "10.01", "64x36_30000-1001fps_10.01s.mp4"),
        (Fraction(30000, 1001), Decimal("10.01"), "64x36_30000-1001fps_10.01s.mp4"),
        ("30000/1001", 10.01, "64x36_30000-1001fps_10.01s.mp4"),
        (29.97, 2.502503, "64x36_29.97fps_2.502503s.mp4"),
        (30, Decimal("1E+1"), "64x36_30fps_10s.mp4"),
        (Fraction(30), 2.5, "64x36_30fps_2.5s.mp4"),
    ],
)
def test_a_name_is_written(rate: Rate, seconds: Seconds, expected: str) -> None:
    """A clip name written from texts or numbers is read back with the same properties."""
    assert expected == clip_name("64x36", rate, seconds)


@pytest.mark.parametrize(
    ("size", "rate", "seconds", "says"),
    [
        ("4K", "30", "4", "size '4K' is not <width>x<height> such as 1280x720"),
        ("0x36", "30", "4", "width 0 is outside 1..16384"),
        ("64x36", "NTSC", "4", "frame rate 'NTSC' is neither a decimal like 29.97 nor a fraction"),
        ("64x36", "30", "abc", "seconds 'abc' are no decimal with up to six places"),
        ("64x36", 30, float("nan"), "seconds 'nan' are no decimal"),
        ("64x36", 29.97, 2.5, "nearest: 2.469136 (74 frames) or 2.502503 (75 frames)"),
    ],
)
def test_a_name_that_cannot_be_written(size: str, rate: Rate, seconds: Seconds, says: str) -> None:
    """The error names the wrong property, not its place in the URL."""
    with pytest.raises(ClipNameError) as refusal:
        clip_name(size, rate, seconds)
    assert says in str(refusal.value)


@given(st.text(max_size=40))
def test_any_text_is_a_clip_or_refused(name: str) -> None:
    """Any text is parsed as a clip or refused with the documented error."""
    try:
        parse_clip_name(name)
    except ClipNameError:
        return


@given(
    frames=st.integers(1, 5_000),
    rate=st.sampled_from([Fraction(30), Fraction(24000, 1001), Fraction(25), Fraction(60)]),
)
def test_every_number_of_frames_can_be_requested(frames: int, rate: Fraction) -> None:
    """The duration of any number of frames, to the microsecond, gives that number of frames."""
    whole, part = divmod(duration_of(frames, rate), 1_000_000)
    name = f"64x64_{rate.numerator}-{rate.denominator}fps_{whole}.{part:06}s.mp4"
    assert frames == parse_clip_name(name).frames


def test_reading_names_does_not_load_pyav() -> None:
    """Reading clip names imports no PyAV and no httpx."""
    code = (
        "import sys, upsim.media.clip_names, upsim.media.synthetic, upsim.media.probe,"
        " upsim.media.render, upsim.media.fetch; print(sorted({'av', 'httpx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "[]\n"
