"""Files that a command was told to write: looked at before it begins, written at its end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from upsim_contracts.exceptions import UsageError


def check_folders(files: Iterable[Path | None]) -> None:
    """Check that files can be made where they are to be. Raises UsageError."""
    for file in files:
        try:
            wrong = file is not None and (not file.parent.is_dir() or file.is_dir())
        except OSError as error:  # a name that no file can have
            raise UsageError(f"cannot write {file}: {error.strerror}") from error
        if wrong:
            raise UsageError(f"cannot write {file}: it is a folder, or its folder is not there")


def write_file(file: Path, text: str) -> None:
    """Write a text whole or not at all; a pipe or another device is written to as it is.

    Raises UsageError.
    """
    content = text.encode("utf-8", "backslashreplace")
    try:
        if file.exists() and not file.is_file():
            file.write_bytes(content)
            return
        _replace(file.resolve(), content)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error


def _replace(file: Path, content: bytes) -> None:
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        if file.exists():
            shutil.copymode(file, beside)
        beside.replace(file)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
