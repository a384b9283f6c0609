"""Temporary folders: those in use, and those left by processes that ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from upsim.media.temporary_folders import PrivateFolder, remove_abandoned

if TYPE_CHECKING:
    from pathlib import Path

HOLDING = """
import sys, time
from pathlib import Path
from upsim.media.temporary_folders import PrivateFolder
folder = PrivateFolder(Path(sys.argv[1]))
(folder.path / "part-1").write_bytes(b"x")
print(folder.path, flush=True)
time.sleep(60)
"""


def killed(parent: Path) -> str:
    """Return the folder of a process that was killed while it held it."""
    command = [sys.executable, "-c", HOLDING, str(parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    return folder


def test_the_folder_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    """The next process removes the folder of a killed process, with its content."""
    left = killed(tmp_path)
    assert os.path.isdir(left)  # noqa: PTH112 - of a str
    assert [left] == [str(path) for path in remove_abandoned(tmp_path)]
    assert [] == list(tmp_path.iterdir())


def test_the_folder_of_a_living_process_stays(tmp_path: Path) -> None:
    """The folder of a living process, also of this one, stays until it is released."""
    folder = PrivateFolder(tmp_path)
    assert ([], True) == (remove_abandoned(tmp_path), folder.path.is_dir())
    folder.remove()
    folder.remove()
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["no owner", "a link as owner", "open to others", "another name"])
def test_similar_folders_stay(tmp_path: Path, what: str) -> None:
    """A folder that only resembles one of ours stays, with any content."""
    folder = tmp_path / ("upsim-x" if what != "another name" else "other-x")
    folder.mkdir(mode=0o755 if what == "open to others" else 0o700)
    if what == "a link as owner":
        (tmp_path / "elsewhere").write_bytes(b"")
        (folder / "owner").symlink_to(tmp_path / "elsewhere")
    elif what != "no owner":
        (folder / "owner").write_bytes(b"")
    assert ([], True) == (remove_abandoned(tmp_path), folder.is_dir())


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    """A link with the name of a folder of ours is not followed when folders are removed."""
    there = tmp_path / "there"
    there.mkdir(mode=0o700)
    (there / "owner").write_bytes(b"")
    (tmp_path / "upsim-x").symlink_to(there)
    assert ([], True) == (remove_abandoned(tmp_path), (there / "owner").is_file())
