"""Report files of a command: checked before the run, written after it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from upsim.atomic_files import write_whole
from upsim_contracts.exceptions import UsageError


def check_folders(files: Iterable[Path | None]) -> None:
    """Check that these files can be created. Raises UsageError."""
    for file in files:
        try:
            wrong = file is not None and (not file.parent.is_dir() or file.is_dir())
        except OSError as error:  # a name that no file can have
            raise UsageError(f"cannot write {file}: {error.strerror}") from error
        if wrong:
            raise UsageError(f"cannot write {file}: it is a folder, or its folder is not there")


def write_file(file: Path, text: str) -> None:
    """Write a text completely or not at all; a pipe or a device is written to directly.

    Raises UsageError.
    """
    try:
        write_whole(file, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error
