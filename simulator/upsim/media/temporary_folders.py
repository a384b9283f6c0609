"""Temporary folders with a lock, so that folders of ended processes can be recognised.

A folder contains a file `owner` that its process keeps locked. The system releases the
lock when the process ends. Process ids are reused, so they would not be reliable.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows has none: nothing is removed there but by its owner
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

PREFIX = "upsim-"
OWNER = "owner"
_PRIVATE = 0o700


class PrivateFolder:
    """A new folder that only this user may read; it is locked until it is removed."""

    def __init__(self, parent: Path | None = None) -> None:
        """Create the folder. Raises OSError on a full disk."""
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        try:
            self._lock = _held(self.path)
        except OSError:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def remove(self) -> None:
        """Remove the folder with its files."""
        shutil.rmtree(self.path, ignore_errors=True)
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


class KeptFolder:
    """A folder of a durable store, which only this user may read."""

    def __init__(self, path: Path) -> None:
        """Create the folder if it is missing. Raises OSError on a full disk."""
        path.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        self.path = path

    def remove(self) -> None:
        """Keep the folder with its files."""


def remove_abandoned(parent: Path | None = None) -> list[Path]:
    """Remove this user's folders whose processes have ended, and return their paths."""
    if not HAS_LOCKS:
        return []
    gone = []
    with suppress(OSError), os.scandir(parent or tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and _is_ours(entry) and _is_abandoned(entry.path):
                shutil.rmtree(entry.path, ignore_errors=True)
                gone.append(Path(entry.path))
    return gone


def _held(folder: Path) -> int | None:
    """Return the lock of a new folder; the lock file gets its name after it is locked."""
    if not HAS_LOCKS:
        return None
    made = folder / f"{OWNER}.new"
    lock = os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        flock(lock, LOCK_EX | LOCK_NB)
        made.rename(folder / OWNER)
    except OSError:
        os.close(lock)
        raise
    return lock


def _is_ours(entry: os.DirEntry[str]) -> bool:
    """Return whether a path is a private folder of this user, and not a link."""
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    private = stat.S_IMODE(found.st_mode) == _PRIVATE
    return stat.S_ISDIR(found.st_mode) and private and found.st_uid == os.getuid()


def _is_abandoned(folder: str) -> bool:
    """Return whether the process of a folder has ended, so that its lock is free.

    Other folders are ignored.
    """
    try:
        lock = os.open(os.path.join(folder, OWNER), os.O_RDWR | os.O_NOFOLLOW)  # noqa: PTH118 - of a str
    except OSError:
        return False
    try:
        flock(lock, LOCK_EX | LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True
