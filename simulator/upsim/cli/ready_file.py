"""The file that says that a server answers, and where: whole or not there, and private."""

from __future__ import annotations

import os
from pathlib import Path

import click


def remove_stale(ready: Path) -> None:
    """No ready file of an earlier server may be taken for this one's."""
    if not ready.parent.is_dir():
        raise click.BadParameter(f"there is no folder {ready.parent}", param_hint="--ready-file")
    ready.unlink(missing_ok=True)


def write_whole(file: Path, text: str) -> None:
    """Write a file of which nobody ever reads a part, and that only its owner may read."""
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    private = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(private, "w", encoding="utf-8") as opened:
        opened.write(text)
    part.replace(file)
