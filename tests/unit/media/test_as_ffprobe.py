"""Both ways of measuring agree with `ffprobe`, for some eighty kinds of files.

`ffprobe` decodes every file: pictures are the frames it reads, the size is that of the stream,
widened by the shape of its pixels and turned by its rotation. The duration is the format's; where
the file states none, it is the end of the last packet of any track. The rate is the stream's
average; of uneven pictures in Matroska, whose average it guesses from the first ones, it is
pictures / duration of the pictures.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.unit.media.sample_videos import PICTURES, Variant, variants
from upsim.core.media import MICROSECONDS, Media
from upsim.media.demux import measure_by_demuxing
from upsim.media.mp4_measuring import measure_boxes

SHOWN = (
    "format=duration:stream=index,codec_type,width,height,sample_aspect_ratio,avg_frame_rate,"
    "nb_read_frames:stream_side_data=rotation:packet=stream_index,pts_time,duration_time"
)
SUFFIXES = {"matroska": "mkv", "mpegts": "ts"}
AT_NIGHT = frozenset(
    {
        *("one edit, reordered", "empty edit, reordered", "two edits, reordered"),
        *("the same twice, reordered", "dwell, reordered", "double speed, reordered"),
        *("mov h264 cut at 0.5", "mov h264 cut at 1.7", "mov reordered cut at 0.5"),
        *("mov reordered cut at 1.7", "mov hevc cut at 0.5", "mov after free", "mov after skip"),
        *("turned 180 and 0", "turned 270 and 0", "turned 90 and 270"),
        *("piped webm, audio shorter", "piped matroska, silent"),
        *("60000/1001 a second", "60000/1001 a second in webm"),
    }
)
"""Variants of which each property is one of another variant too."""
VARIANTS = [
    pytest.param(one, id=one.name, marks=pytest.mark.nightly if one.name in AT_NIGHT else ())
    for one in variants()
]

Told = tuple[int, Fraction, int, int, int, bool]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Variant], Path]:
    """Return a function that makes a variant; what differs only in its change is encoded once."""
    folder = tmp_path_factory.mktemp("variants")
    encoded: dict[Variant, bytes] = {}

    def make(variant: Variant) -> Path:
        path = folder / f"given.{SUFFIXES.get(variant.form, variant.form)}"
        coding = replace(variant, name="", change=None, boxes=False, uneven=False)
        if coding not in encoded:
            _ffmpeg(variant, path)
            encoded[coding] = path.read_bytes()
        path.write_bytes(variant.change(encoded[coding]) if variant.change else encoded[coding])
        return path

    return make


def _ffmpeg(variant: Variant, path: Path) -> None:
    program = shutil.which("ffmpeg")
    if program is None or shutil.which("ffprobe") is None:
        pytest.skip("ffmpeg and ffprobe are not installed, so no file can be made and checked.")
    start = [program, "-v", "error", "-y", "-threads", "1", "-bitexact"]
    given = ["-f", "lavfi", "-i", f"{PICTURES}:d={variant.seconds}", *variant.sound]
    target = "-" if variant.piped else str(path)
    form = ["-f", variant.form, target]
    if variant.cut is not None:
        whole = path.with_name("whole.mkv")
        subprocess.run([*start, *given, *variant.coding, str(whole)], check=True)
        cut = ["-ss", variant.cut[0], "-i", str(whole), "-t", variant.cut[1], "-c", "copy"]
        subprocess.run([*start, *cut, *form], check=True)
        return
    done = subprocess.run([*start, *given, *variant.coding, *form], check=True, capture_output=True)
    if variant.piped:
        path.write_bytes(done.stdout)


def told(path: Path, *, uneven: bool) -> Told:
    """Return duration, rate, width, height, frames and audio as `ffprobe` measures them."""
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", SHOWN, "-of", "json"]
    done = subprocess.run([*command, str(path)], capture_output=True, check=True)
    found = json.loads(done.stdout)
    video = next(stream for stream in found["streams"] if stream["codec_type"] == "video")
    width, height = video["width"], video["height"]
    across, _, down = video.get("sample_aspect_ratio", "1:1").partition(":")
    width = round(Fraction(width * int(across), int(down)))
    turned = any(side.get("rotation", 0) % 180 for side in video.get("side_data_list", []))
    pictures = int(video["nb_read_frames"])
    rate = Fraction(video["avg_frame_rate"])
    if uneven and path.suffix in (".mkv", ".webm"):
        own = [p for p in found["packets"] if p["stream_index"] == video["index"]]
        rate = pictures / (_end(own) - _start(own))
    stated = found["format"].get("duration")
    duration = (
        Fraction(stated)
        if stated
        else _end(found["packets"]) - max(_start(found["packets"]), Fraction(0))
    )
    size = (height, width) if turned else (width, height)
    sound = any(stream["codec_type"] == "audio" for stream in found["streams"])
    return round(duration * MICROSECONDS), rate, *size, pictures, sound


def _start(packets: list[dict[str, Any]]) -> Fraction:
    return min(Fraction(p["pts_time"]) for p in packets if "pts_time" in p)


def _end(packets: list[dict[str, Any]]) -> Fraction:
    return max(
        Fraction(p["pts_time"]) + Fraction(p.get("duration_time", 0))
        for p in packets
        if "pts_time" in p
    )


def _measured(media: object) -> Told:
    assert isinstance(media, Media), media
    size = (media.width, media.height)
    return media.duration, media.frame_rate, *size, media.frames, media.audio


def test_there_are_many_variants() -> None:
    """The variants are at least sixty, each with its own name; `AT_NIGHT` names some of them."""
    names = [variant.name for variant in variants()]
    assert len(set(names)) == len(names) >= 60
    assert set(names) >= AT_NIGHT


@pytest.mark.parametrize("variant", VARIANTS)
def test_both_readers_agree_with_ffprobe(variant: Variant, made: Callable[[Variant], Path]) -> None:
    """The box reader and the demuxer find the same duration, rate, size and frames as `ffprobe`."""
    path = made(variant)
    expected = told(path, uneven=variant.uneven)
    by_boxes = measure_boxes(path)
    assert variant.boxes is (by_boxes is not None)
    if by_boxes is not None:
        assert expected == _measured(by_boxes)
    assert expected == _measured(measure_by_demuxing(path))
