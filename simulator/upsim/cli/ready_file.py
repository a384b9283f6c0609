"""The file that announces a ready server and its URL: written completely or not at all."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import click
import msgspec

from upsim.cli.uvicorn_server import UvicornServer

USAGE = 2
_MAX_LENGTH = 64 * 1024
"""Maximum size of a ready file in bytes."""


def remove_stale(
    context: click.Context, option: click.Parameter, ready: Path | None
) -> Path | None:
    """Remove an earlier server's ready file; exit with the reason if the file cannot be written.

    This happens before other options are checked. If the server then does not start, no old ready
    file suggests that it runs.
    """
    if ready is None:
        return None
    if not ready.parent.is_dir():
        raise click.BadParameter(f"there is no folder {ready.parent}", context, option)
    if ready.exists() and not ready.is_file():
        raise click.BadParameter(f"{ready} is not a regular file", context, option)
    try:
        if ready.exists() and not _is_ready_file(ready):
            problem = f"{ready} was not written by a server: choose another file"
            raise click.BadParameter(problem, context, option)
        ready.unlink(missing_ok=True)
        private, part = _opened(ready)
        os.close(private)
        part.unlink()
    except OSError as error:
        _tell(ready, error)
        sys.exit(USAGE)
    return ready


def _write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read; other processes never see a part of it."""
    private, part = _opened(file)
    try:
        with os.fdopen(private, "w", encoding="utf-8") as opened:
            opened.write(text)
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise


class ReadyFile(msgspec.Struct, frozen=True):
    """The ready file of a server, if `--ready-file` names one."""

    path: Path | None

    def write(self, server: UvicornServer, said: Mapping[str, object]) -> None:
        """Announce the ready server; if the file cannot be written, print the reason and stop."""
        if self.path is None:
            return
        try:
            _write_private(self.path, json.dumps(said))
        except OSError as error:
            _tell(self.path, error)
            server.code, server.should_exit = USAGE, True

    def remove(self) -> None:
        """Remove the file, unless another server has replaced it."""
        if self.path is None:
            return
        with suppress(OSError, ValueError):
            said = json.loads(self.path.read_text(encoding="utf-8"))
            if isinstance(said, dict) and said.get("pid") == os.getpid():
                self.path.unlink()


def _is_ready_file(file: Path) -> bool:
    """Whether a file may be removed, because it is empty or a server wrote it."""
    with file.open("rb") as opened:
        content = opened.read(_MAX_LENGTH)
    try:
        return not content or "pid" in json.loads(content)
    except (ValueError, TypeError, RecursionError):
        return False


def _tell(ready: Path, error: OSError) -> None:
    click.echo(f"upsim: cannot write the ready file {ready}: {error.strerror}", err=True)


def _opened(file: Path) -> tuple[int, Path]:
    """Open a new private file beside the ready file; return its descriptor and path."""
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    return os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), part
