"""The program of the tutorial, run as its reader runs it: from a shell, against a server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_python_pages import ROOT, files_of
from tests.e2e.conftest import Server, running
from upsim.media.clip_names import parse_clip_name
from upsim.media.synthetic import make_clip

PAGE = ROOT / "docs" / "tutorial" / "first-upscale.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server whose jobs are done at the next poll."""
    with running(tmp_path_factory.mktemp("server"), "--clock", "auto") as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the program and a clip."""
    (tmp_path / "enlarge.py").write_text(files_of(PAGE)["enlarge"], "utf-8")
    (tmp_path / "clip.mp4").write_bytes(make_clip(parse_clip_name("64x36_10fps_1s.mp4")))
    return tmp_path


def enlarge(folder: Path, base_url: str, *arguments: str) -> tuple[int, str]:
    """Run the program with the settings that `upsim env` gives; return how it ended."""
    done = subprocess.run(
        [sys.executable, "enlarge.py", *arguments],
        cwd=folder,
        env={**os.environ, "WAVESPEED_BASE_URL": base_url, "WAVESPEED_API_KEY": "any"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_clip_becomes_a_file(folder: Path, server: Server) -> None:
    """The tutorial's program prints the charge and saves the file."""
    ended = enlarge(folder, f"{server.base_url}/wavespeed", "clip.mp4", "large.mp4")

    assert ended == (0, "charged 0.025 USD\n")
    assert (folder / "large.mp4").stat().st_size > 0


def test_missing_file_prints_one_line(folder: Path, server: Server) -> None:
    """For a missing file, the tutorial's program prints one line and exits with code 1."""
    ended = enlarge(folder, f"{server.base_url}/wavespeed", "nothere.mp4", "large.mp4")

    assert ended == (1, "not enlarged: nothere.mp4 cannot be read: No such file or directory\n")


def test_wrong_host_prints_one_line(folder: Path) -> None:
    """If the client cannot be created, the tutorial's program prints one line."""
    code, text = enlarge(folder, "https://example.com", "clip.mp4", "large.mp4")

    assert (1, 1) == (code, text.count("\n"))
    assert text.startswith("not enlarged: example.com is not this machine.")
