"""File options: a command never writes to a file that it also reads.

A recording may have cost money, and an export exists only once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click


class FileName(click.Path):
    """The path of a file that a command reads, or with `written` creates or replaces."""

    def __init__(self, *, written: bool = False, exists: bool = False) -> None:
        """Require that the file exists, if `exists` is set."""
        super().__init__(exists=exists, dir_okay=False, path_type=Path)
        self.written = written

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        """Return the path; fail if the command would write to a file that it also uses elsewhere.

        click reads one parameter after the other, so each is compared with the earlier parameters.
        """
        path = super().convert(value, param, ctx)
        for other, file in () if ctx is None else _files_so_far(ctx):
            writes = self.written or (isinstance(other.type, FileName) and other.type.written)
            if writes and other is not param and _is_same(Path(os.fsdecode(path)), file):
                name = other.human_readable_name if isinstance(other, click.Argument) else None
                name = name or max(other.opts, key=len)
                self.fail(
                    f"{str(value)[:200]!r} is the same file as {name}: choose another file",
                    param,
                    ctx,
                )
        return path


def _files_so_far(ctx: click.Context) -> Iterator[tuple[click.Parameter, Path]]:
    """Yield the files read from the command line so far, each with its parameter."""
    for param in ctx.command.params:
        if isinstance(param.type, FileName):
            value = ctx.params.get(str(param.name))
            for file in value if isinstance(value, tuple) else (value,):
                if isinstance(file, Path):
                    yield param, file


def _is_same(one: Path, other: Path) -> bool:
    """Whether two names mean the same file, existing or not; devices may be shared."""
    try:
        if one.exists() and other.exists():
            return one.is_file() and one.samefile(other)
        return one.resolve() == other.resolve()
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, or a loop of links
        return False
