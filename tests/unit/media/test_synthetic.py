"""Made files have exactly the properties asked for, and ffprobe agrees."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from upsim.core.media import Media
from upsim.media import synthetic
from upsim.media.clip_names import (
    MAX_BYTES,
    MAX_FRAMES,
    ClipContainer,
    ClipNameError,
    SyntheticClip,
    parse_clip_name,
)
from upsim.media.gop import Codec, Gop, GopCache, make_gop
from upsim.media.mp4_measuring import measure_boxes
from upsim.media.output_limits import FASTEST, MAX_SECONDS, SLOWEST
from upsim.media.probe import Prober
from upsim.media.synthetic import ClipMaker, make_clip

NAMES = [
    "1280x720_30fps_10s.mp4",
    "2560x1440_30fps_10s.mp4",
    "640x360_30000-1001fps_10.01s.mov",
    "854x480_24fps_3.333333s_silent.mp4",
    "853x479_25fps_4s.mp4",
    "853x479_25fps_4s.mov",
    "640x360_60fps_2s.mkv",
    "641x361_60fps_2s.mkv",
    "640x360_30fps_3.333333s.webm",
    "640x360_23.976fps_125s_silent.webm",
    "1x1_1fps_1s.mp4",
    "1x1_24fps_1s.webm",
    "2x2_240fps_0.004167s.mp4",
    "2x16384_10fps_0.5s.mp4",
    "16384x16_10fps_0.5s.mp4",
    "16x16_30fps_0.033333s.mkv",
    "128x72_0.5fps_60s.mkv",
]


@pytest.mark.parametrize("name", NAMES)
def test_ffprobe_sees_the_requested_properties(
    name: str, maker: ClipMaker, ffprobe: Callable[[bytes], dict[str, Any]]
) -> None:
    """`ffprobe` finds the size, rate, frames, duration and audio of the clip name."""
    clip = parse_clip_name(name)
    told = ffprobe(maker.make(clip))
    video = told["video"]
    expected = (
        clip.width,
        clip.height,
        clip.frame_rate,
        clip.frames,
        f"{clip.seconds:.6f}",
        clip.audio,
    )
    assert expected == (
        video["width"],
        video["height"],
        Fraction(video["avg_frame_rate"]),
        int(video["nb_read_packets"]),
        told["format"]["duration"],
        told["audio"] is not None,
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_decodes(
    name: str, maker: ClipMaker, decode_errors: Callable[[bytes], str]
) -> None:
    """A decoder reads every video and audio frame without an error."""
    assert decode_errors(maker.make(parse_clip_name(name))) == ""


@pytest.mark.parametrize("name", NAMES)
async def test_upsim_measures_its_own_clips(name: str, maker: ClipMaker, prober: Prober) -> None:
    """A synthetic clip is measured with the requested properties, to the microsecond."""
    clip = parse_clip_name(name)
    data = maker.make(clip)
    expected = Media(
        duration=clip.duration,
        frame_rate=clip.frame_rate,
        width=clip.width,
        height=clip.height,
        frames=clip.frames,
        container=clip.container,
        audio=clip.audio,
        size=len(data),
    )
    assert expected == await prober.measure(data)


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("64x64_30fps_1s.mp4", ("h264", "aac")),
        ("64x64_30fps_1s.mkv", ("h264", "aac")),
        ("63x64_30fps_1s.mp4", ("vp9", "aac")),
        ("64x64_30fps_1s.webm", ("vp9", "opus")),
    ],
)
def test_codecs_by_container_and_size(
    name: str,
    codecs: tuple[str, str],
    maker: ClipMaker,
    ffprobe: Callable[[bytes], dict[str, Any]],
) -> None:
    """Clips of even size use H.264; odd sizes and WebM use VP9; audio is AAC, or Opus in WebM."""
    told = ffprobe(maker.make(parse_clip_name(name)))
    assert codecs == (told["video"]["codec_name"], told["audio"]["codec_name"])


def test_the_largest_picture_is_made_at_once(maker: ClipMaker) -> None:
    """A clip with frames of 16384 by 16384 pixels is rendered quickly and well-formed.

    FFmpeg does not decode this size.
    """
    media = measure_boxes(maker.make(parse_clip_name("16384x16384_30fps_1s.mp4")))
    assert media is not None
    assert (media.width, media.height, media.frames) == (16_384, 16_384, 30)


def test_8k_decodes(maker: ClipMaker, decode_errors: Callable[[bytes], str]) -> None:
    """A few frames of 7680x4320 are decoded without an error."""
    assert decode_errors(maker.make(parse_clip_name("7680x4320_30fps_0.1s.mp4"))) == ""


def test_the_picture_moves(maker: ClipMaker, ffmpeg: Callable[..., str], tmp_path: Path) -> None:
    """All frames within one second of a clip are different."""
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(maker.make(parse_clip_name("1280x720_30fps_1s.mp4")))
    ffmpeg("-i", clip, "-map", "0:v", "-f", "framemd5", tmp_path / "sums")
    lines = (tmp_path / "sums").read_text().splitlines()
    assert len({line.split(",")[-1] for line in lines if not line.startswith("#")}) == 30


@pytest.mark.parametrize("container", ["mp4", "webm"])
def test_the_tone_is_quiet_and_has_no_gap(
    container: str, maker: ClipMaker, ffmpeg: Callable[..., str], tmp_path: Path
) -> None:
    """The tone stays below a few hundredths of full scale and is never silent."""
    clip, raw = tmp_path / "clip", tmp_path / "raw"
    clip.write_bytes(maker.make(parse_clip_name(f"64x64_30fps_3s.{container}")))
    ffmpeg("-i", clip, "-map", "0:a", "-f", "s16le", "-ac", "1", raw)
    samples = memoryview(raw.read_bytes()).cast("h")[9_600:-9_600]
    peaks = [max(samples[at : at + 480]) for at in range(0, len(samples) - 480, 480)]
    assert min(peaks) > 300
    assert max(peaks) < 1_500


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "webm"])
@pytest.mark.parametrize("more", [0, 1, 7, 8, 9, 200, 100_000])
def test_padding_is_exact(
    container: str, more: int, maker: ClipMaker, decode_errors: Callable[[bytes], str]
) -> None:
    """A padded file has exactly the requested bytes and can be decoded."""
    clip = parse_clip_name(f"64x64_30fps_1s.{container}")
    size = len(maker.make(clip)) + more
    padded = maker.make(replace(clip, padded_to=size))
    assert size == len(padded)
    if more in (1, 100_000):
        assert decode_errors(padded) == ""


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_too_small_a_size_names_the_smallest(container: str, maker: ClipMaker) -> None:
    """The error for a too small file size names the smallest possible size."""
    clip = parse_clip_name(f"64x64_30fps_1s.{container}")
    natural = len(maker.make(clip))
    with pytest.raises(ClipNameError, match=f"bytes 10 is below {natural}, the smallest"):
        maker.make(replace(clip, padded_to=10))


BOUNDS = [
    SyntheticClip(16_384, 16_384, FASTEST, MAX_FRAMES, MAX_SECONDS * 1_000_000),
    SyntheticClip(16_383, 16_383, FASTEST, MAX_FRAMES, MAX_SECONDS * 1_000_000),
    SyntheticClip(4_095, 4_095, FASTEST, MAX_FRAMES, MAX_SECONDS * 1_000_000),
    SyntheticClip(64, 64, FASTEST, 1, MAX_SECONDS * 1_000_000),
    SyntheticClip(64, 64, SLOWEST, MAX_FRAMES, 1),
    SyntheticClip(64, 64, Fraction((1 << 32) - 1, 3_601), 1, 1),
    SyntheticClip(64, 64, Fraction((1 << 40) + 1, 1 << 51), 2, 1),
]


@pytest.mark.parametrize("clip", BOUNDS, ids=str)
def test_every_measurable_file_can_be_rendered(clip: SyntheticClip, maker: ClipMaker) -> None:
    """A file at all limits of measuring can be rendered, in parts that fit into memory."""
    parts = maker.parts(clip)
    assert sum(map(len, parts)) < MAX_BYTES


@pytest.mark.parametrize("size", ["640x360", "641x361"])
@pytest.mark.parametrize("container", ["mp4", "mkv", "webm"])
def test_a_very_large_file_repeats_one_frame(
    size: str,
    container: str,
    monkeypatch: pytest.MonkeyPatch,
    maker: ClipMaker,
    ffprobe: Callable[[bytes], dict[str, Any]],
    decode_errors: Callable[[bytes], str],
) -> None:
    """A clip whose moving frames would take too many bytes repeats its first frame."""
    clip = parse_clip_name(f"{size}_30fps_20s_silent.{container}")
    moving = maker.make(clip)
    monkeypatch.setattr(synthetic, "MAX_MOVING", 1)
    still = maker.make(clip)
    assert int(ffprobe(still)["video"]["nb_read_packets"]) == clip.frames
    assert len(still) < len(moving)
    assert decode_errors(still) == ""


@pytest.mark.parametrize(
    "name", ["641x361_30fps_3s.mp4", "1x1_30fps_3s.mov", "853x480_30fps_3s.mkv"]
)
def test_a_very_large_odd_picture_is_grey(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    ffprobe: Callable[[bytes], dict[str, Any]],
    decode_errors: Callable[[bytes], str],
) -> None:
    """A clip with an odd size too large for VP9 is grey H.264 of exactly that size."""
    monkeypatch.setattr(synthetic, "MAX_VP9_PIXELS", 0)
    clip = parse_clip_name(name)
    data = make_clip(clip)
    video = ffprobe(data)["video"]
    expected = ("h264", clip.width, clip.height)
    assert expected == (video["codec_name"], video["width"], video["height"])
    assert decode_errors(data) == ""


def test_padding_takes_no_memory(maker: ClipMaker) -> None:
    """The padding of a file repeats one block of zeros."""
    parts = maker.parts(parse_clip_name("64x64_30fps_1s.mp4", 200_000_000))
    distinct = {id(part): len(part) for part in parts}
    assert sum(map(len, parts)) == 200_000_000
    assert sum(distinct.values()) < 3_000_000


@pytest.mark.parametrize("container", ["mp4", "mkv", "webm"])
@pytest.mark.parametrize("audio", [True, False])
async def test_the_container_may_last_longer_than_its_pictures(
    container: ClipContainer, *, audio: bool, maker: ClipMaker, prober: Prober
) -> None:
    """A longer container duration is written to the file; frames and rate stay the same."""
    clip = SyntheticClip(64, 64, Fraction(30), 30, 1_023_456, audio=audio, container=container)
    media = await prober.measure(maker.make(clip))
    assert isinstance(media, Media)
    assert (1_023_456, 30, Fraction(30)) == (media.duration, media.frames, media.frame_rate)


async def test_more_than_an_hour_and_odd_rates_fit(maker: ClipMaker, prober: Prober) -> None:
    """An output of hours or with an odd rate can be rendered, although no clip name allows it."""
    rate = Fraction(100_000 * 90_000, 300_300_001)
    frames = 400_000
    clip = SyntheticClip(64, 64, rate, frames, 13_346_666_711, audio=False)
    media = await prober.measure(maker.make(clip))
    assert isinstance(media, Media)
    assert (13_346_666_711, frames) == (media.duration, media.frames)


@pytest.mark.parametrize(
    "name", ["64x64_30fps_1s.mp4", "64x64_30fps_1s.webm", "63x64_30fps_1s.mkv"]
)
def test_equal_clips_are_equal_bytes_in_any_process(name: str, maker: ClipMaker) -> None:
    """Two Python processes render byte-identical files for the same clip."""
    code = (
        "import hashlib, sys; from upsim.media.clip_names import parse_clip_name;"
        " from upsim.media.synthetic import make_clip;"
        f" print(hashlib.sha256(make_clip(parse_clip_name({name!r}))).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    here = hashlib.sha256(maker.make(parse_clip_name(name))).hexdigest()
    assert done.stdout.strip() == here


def test_make_clip_needs_no_maker(maker: ClipMaker) -> None:
    """The function `make_clip` gives the same bytes as a `ClipMaker`."""
    clip = parse_clip_name("64x64_30fps_1s.mp4")
    assert maker.make(clip) == make_clip(clip)


class CountingMake:
    """Makes groups of pictures and notes which."""

    def __init__(self) -> None:
        self.made: list[tuple[str, int, int]] = []

    def __call__(self, codec: Codec, width: int, height: int) -> Gop:
        """Make one, and note it."""
        self.made.append((codec, width, height))
        return make_gop(codec, width, height)


def test_threads_share_one_group_of_pictures() -> None:
    """Simultaneous requests for one size render its frames once."""
    make = CountingMake()
    cache = GopCache(make=make)
    threads = [threading.Thread(target=cache.get, args=("h264", 640, 360)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert make.made == [("h264", 640, 360)]


def test_the_least_recently_used_group_is_dropped() -> None:
    """Above its size limit, the cache drops the least recently used frames."""
    make = CountingMake()
    one = len(make_gop("h264", 64, 64).data)
    cache = GopCache(3 * one, make=make)
    for width in (64, 62, 64, 60, 58):
        cache.get("h264", width, 64)
    cache.get("h264", 64, 64)
    assert make.made == [("h264", width, 64) for width in (64, 62, 60, 58)]


def test_an_impossible_group_is_refused_for_all_requests() -> None:
    """If frames cannot be rendered, all waiting requests fail, and the failure is not cached."""
    cache = GopCache()
    for _ in range(2):
        with pytest.raises(ClipNameError, match="16777216 pixels, the most that VP9 is made in"):
            cache.get("vp9", 4_096, 4_097)


@pytest.mark.parametrize("microseconds", [2_016_667, 2_020_000, 2_033_000])
def test_no_track_is_longer_than_its_file(
    microseconds: int, maker: ClipMaker, ffprobe: Callable[[bytes], dict[str, Any]]
) -> None:
    """The last video and audio frames end with the file, and all frames are shown."""
    frames = microseconds * 30 // 1_000_000 + 1
    clip = SyntheticClip(16, 16, Fraction(30), frames, microseconds)
    made = maker.make(clip)
    told, media = ffprobe(made), measure_boxes(made)
    assert media is not None
    whole = float(told["format"]["duration"])
    assert float(told["video"]["duration"]) <= whole
    assert float(told["audio"]["duration"]) <= whole
    assert (frames, microseconds) == (media.frames, media.duration)
