"""Write files completely or not at all, even if the disk is full."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def write_whole(file: Path, content: bytes) -> None:
    """Write a file completely; write directly to a pipe or another device.

    If this raises OSError, the file keeps its previous content.
    """
    if file.exists() and not file.is_file():
        file.write_bytes(content)
        return
    file = file.resolve()
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        if file.exists():
            shutil.copymode(file, beside)
        beside.replace(file)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
