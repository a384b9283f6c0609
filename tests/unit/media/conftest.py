"""Shared by the tests of media: ffprobe and ffmpeg, a maker of clips, a prober."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from upsim.media.probe import Prober
from upsim.media.synthetic import ClipMaker

Probe = Callable[[bytes | Path], dict[str, Any]]
Ffmpeg = Callable[..., str]
_SHOWN = (
    "format=duration,format_name:stream=codec_type,codec_name,width,height,r_frame_rate,"
    "avg_frame_rate,nb_read_packets,duration"
)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None and os.environ.get("UPSIM_REQUIRE_ALL") == "1":
        pytest.fail(f"{name} is not installed, and UPSIM_REQUIRE_ALL asks for every test.")
    if found is None:
        pytest.skip(f"{name} is not installed, so no second opinion on the files can be had.")
    return found


@pytest.fixture
def lent_workers() -> None:
    """Leave worker processes as they are: these tests look at their start and end."""


@pytest.fixture(scope="session")
def maker() -> ClipMaker:
    """A maker whose pictures all tests share."""
    return ClipMaker()


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    """A prober that is closed when the module is done."""
    prober = Prober(timeout=300)
    yield prober
    prober.close()


@pytest.fixture
def ffprobe(tmp_path: Path) -> Probe:
    """The report of ffprobe about a file: `format`, `video`, `audio`."""
    program = _program("ffprobe")

    def probe(source: bytes | Path) -> dict[str, Any]:
        path = _as_path(source, tmp_path)
        command = [program, "-v", "error", "-count_packets", "-show_entries", _SHOWN]
        done = subprocess.run(
            [*command, "-of", "json", str(path)], capture_output=True, check=True, text=True
        )
        told = json.loads(done.stdout)
        tracks = {stream["codec_type"]: stream for stream in told["streams"]}
        return {
            "format": told["format"],
            "video": tracks.get("video"),
            "audio": tracks.get("audio"),
        }

    return probe


@pytest.fixture
def ffmpeg() -> Ffmpeg:
    """Runs ffmpeg with the arguments given and returns its error lines."""
    program = _program("ffmpeg")

    def run(*arguments: str | Path) -> str:
        command = [program, "-v", "error", "-y", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, check=False, text=True).stderr

    return run


@pytest.fixture
def decode_errors(ffmpeg: Ffmpeg, tmp_path: Path) -> Callable[[bytes | Path], str]:
    """The error lines of decoding a whole file."""

    def decode(source: bytes | Path) -> str:
        return ffmpeg("-i", _as_path(source, tmp_path), "-f", "null", "-")

    return decode


def _as_path(source: bytes | Path, folder: Path) -> Path:
    if isinstance(source, Path):
        return source
    path = folder / "given"
    path.write_bytes(source)
    return path
