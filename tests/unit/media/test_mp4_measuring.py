"""Plain MP4 and MOV files, measured by their boxes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsim.core.media import Media
from upsim.media.clip_names import parse_clip_name
from upsim.media.mp4_measuring import measure_boxes
from upsim.media.synthetic import make_clip

TURNED = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 72 << 16, 0, 1 << 30)
UPSIDE_DOWN = struct.pack(">9i", -(1 << 16), 0, 0, 0, -(1 << 16), 0, 0, 0, 1 << 30)
SKEWED = struct.pack(">9i", 46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30)
CLIP = make_clip(parse_clip_name("128x72_30fps_1s.mp4"))
MOOV = CLIP.index(b"moov") - 4
MDAT = CLIP.index(b"mdat") - 4


def with_matrix(matrix: bytes) -> bytes:
    """The clip with another matrix in its video track header."""
    at = CLIP.index(b"tkhd") + 4 + 40
    return CLIP[:at] + matrix + CLIP[at + 36 :]


def replaced(kind: bytes, offset: int, value: bytes) -> bytes:
    """The clip with bytes of the first box of a kind replaced, counted from its body."""
    at = CLIP.index(kind) + 4 + offset
    return CLIP[:at] + value + CLIP[at + len(value) :]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for files of other muxers."""
    return tmp_path_factory.mktemp("real")


def test_a_path_is_measured_as_its_bytes(tmp_path: Path) -> None:
    """A file on disk and its bytes give the same measurement."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(CLIP)
    assert measure_boxes(CLIP) == measure_boxes(path)


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("testsrc=d=2:s=128x72:r=30000/1001", []),
        ("testsrc=d=2:s=128x72:r=30", ["-movflags", "+faststart"]),
        ("testsrc=d=2:s=128x72:r=25,setsar=4/3", []),
        ("testsrc=d=2:s=128x72:r=25", ["-bf", "3"]),
        ("testsrc=d=2:s=128x72:r=25,select=not(mod(n\\,3))+lt(n\\,9)", ["-fps_mode", "vfr"]),
        ("testsrc=d=2:s=129x73:r=25", ["-c:v", "mpeg4"]),
    ],
    ids=["ntsc", "faststart", "wide-pixels", "b-frames", "vfr", "odd"],
)
@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_ffprobe_agrees(
    source: str,
    options: list[str],
    container: str,
    real: Path,
    ffmpeg: Callable[..., str],
    ffprobe: Callable[[Path], dict[str, Any]],
) -> None:
    """A file written by FFmpeg is measured as `ffprobe` measures it."""
    path = real / f"clip.{container}"
    sound = ["-f", "lavfi", "-i", "sine=d=2"]
    assert ffmpeg("-f", "lavfi", "-i", source, *sound, "-pix_fmt", "yuv420p", *options, path) == ""
    told, media = ffprobe(path), measure_boxes(path)
    assert media is not None
    video = told["video"]
    stretch = Fraction(4, 3) if "setsar" in source else 1
    expected = Media(
        duration=round(float(told["format"]["duration"]) * 1_000_000),
        frame_rate=Fraction(video["avg_frame_rate"]),
        width=round(video["width"] * stretch),
        height=video["height"],
        frames=int(video["nb_read_packets"]),
        container="mov" if container == "mov" else "mp4",
        audio=True,
        size=path.stat().st_size,
    )
    assert expected == media


@pytest.mark.parametrize(
    ("matrix", "size"), [(TURNED, (72, 128)), (UPSIDE_DOWN, (128, 72))], ids=["turned", "half"]
)
def test_a_rotation_flag_turns_the_size(matrix: bytes, size: tuple[int, int]) -> None:
    """The measured size is the displayed one, after the rotation of the track."""
    media = measure_boxes(with_matrix(matrix))
    assert media is not None
    assert size == (media.width, media.height)


def test_wide_pixels_widen_the_size() -> None:
    """A pixel aspect ratio stretches the measured width, as in a player."""
    media = measure_boxes(replaced(b"pasp", 0, struct.pack(">2I", 3, 2)))
    assert media is not None
    assert (media.width, media.height) == (192, 72)


def test_seconds_are_rounded_half_up_to_microseconds() -> None:
    """A duration between two microseconds is rounded half up."""
    media = measure_boxes(replaced(b"mvhd", 12, struct.pack(">2I", 3_000_000, 5)))
    assert media is not None
    assert media.duration == 2


def test_long_boxes_and_versions_are_read() -> None:
    """A file with 64-bit box sizes or a version 1 movie header gives the same measurement."""
    at = CLIP.index(b"mvhd") - 4
    size = struct.unpack_from(">I", CLIP, at)[0]
    body = CLIP[at + 20 : at + size]
    timescale, duration = struct.unpack_from(">2I", body)
    header = struct.pack(">I16xIQ", 1 << 24, timescale, duration) + body[8:]
    mvhd = struct.pack(">I4s", len(header) + 8, b"mvhd") + header
    inside = mvhd + CLIP[at + size : MDAT]
    moov = struct.pack(">I4sQ", 1, b"moov", len(inside) + 16) + inside
    changed = CLIP[:MOOV] + moov + CLIP[MDAT:]
    expected = measure_boxes(CLIP)
    measured = measure_boxes(changed)
    assert expected is not None
    assert measured is not None
    assert (expected.duration, expected.frames) == (measured.duration, measured.frames)


def test_a_last_box_without_size_ends_with_the_file() -> None:
    """A box of size zero extends to the end of the file."""
    assert measure_boxes(CLIP[:MDAT] + bytes(4) + CLIP[MDAT + 4 :]) == measure_boxes(CLIP)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0\x08ftyp",
        CLIP[:-1],
        CLIP[MOOV:],
        CLIP + CLIP[MOOV:MDAT],
        CLIP + b"\0\0\0\x08moof",
        with_matrix(SKEWED),
        replaced(b"stts", 4, b"\xff\xff\xff\xff"),
        replaced(b"stsz", 8, b"\xff\xff\xff\xff"),
        replaced(b"stsz", 12, b"\x7f\xff\xff\xff"),
        replaced(b"mvhd", 12, bytes(4)),
        replaced(b"mvhd", 16, bytes(4)),
        replaced(b"mvhd", 16, b"\xff\xff\xff\xff"),
        replaced(b"mvhd", 0, b"\x07"),
        replaced(b"vide", -4, b"soun"),
        replaced(b"soun", -4, b"vide"),
        replaced(b"trak", -8, b"\0\0\0\0"),
        replaced(b"pasp", 0, bytes(8)),
        replaced(b"pasp", -4, b"skip").replace(b"\0\x80\0\0\0\x48\0\0", b"\0\x90\0\0\0\x48\0\0"),
        replaced(b"avcC", -4, b"clap"),
        CLIP.replace(b"stts", b"skip"),
        CLIP.replace(b"trak", b"mvex", 1),
    ],
)
def test_unclear_files_are_left_to_the_demuxer(data: bytes) -> None:
    """The box reader does not measure files with contradictory or missing boxes."""
    assert measure_boxes(data) is None


@given(st.binary(max_size=400))
def test_any_bytes_raise_nothing(data: bytes) -> None:
    """The box reader raises no exception for any bytes."""
    measure_boxes(b"\0\0\0\x10ftypisom\0\0\0\0" + data)


@given(
    st.lists(st.tuples(st.integers(0, len(CLIP[:MDAT]) - 1), st.integers(0, 255)), max_size=6),
    st.integers(0, len(CLIP)),
)
def test_damaged_files_raise_nothing(changes: list[tuple[int, int]], keep: int) -> None:
    """A changed or cut file gives a measurement or none, never an exception."""
    data = bytearray(CLIP)
    for at, value in changes:
        data[at] = value
    measured = measure_boxes(bytes(data[: keep if keep % 3 == 0 else None]))
    assert measured is None or (measured.frames > 0 and measured.duration > 0)


def test_measuring_reads_no_picture_data(tmp_path: Path) -> None:
    """A sparse file of two gigabytes is measured by its header alone."""
    size = 2 << 30
    path = tmp_path / "large.mp4"
    with path.open("wb") as file:
        file.write(CLIP[:MDAT] + struct.pack(">I", size - MDAT) + b"mdat")
        file.truncate(size)
    media = measure_boxes(path)
    assert media is not None
    assert (size, 30) == (media.size, media.frames)
