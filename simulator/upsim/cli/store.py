"""`upsim store`: look into a store, check it, and make it smaller."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from upsim.core.instants import iso
from upsim.core.numbers import counted
from upsim.engine.exceptions import StoreAddressError, StoreError
from upsim.store.address import sqlite_path
from upsim.store.checks import StoreCheck
from upsim.store.offline_compaction import compact
from upsim.store.read_only_file import ReadOnlyFile, check_existing
from upsim.store.sqlite_file import SqliteFile
from upsim.store.store_contents import (
    SandboxContents,
    StoreContents,
    StoreSizes,
    contents_of,
    sizes_of,
)

FINDING = 1
KIB = 1024


def existing(_ctx: click.Context, _param: click.Parameter, value: str) -> Path:
    """Return the file of a store: of a path, or of an address as for `upsim serve --store`."""
    is_address = value.startswith(("sqlite:", "memory:", "postgres"))
    try:
        path = sqlite_path(value if is_address else f"sqlite:{value}")
        if path is not None:
            check_existing(path)
            return path
    except StoreAddressError as error:
        raise click.BadParameter(str(error)) from error
    raise click.BadParameter("memory: has no file; use the PATH of --store sqlite:PATH")


@click.group("store")
def command() -> None:
    """Look into the file of `upsim serve --store sqlite:PATH`, check it, or make it smaller."""


@command.command("info")
@click.argument("path", callback=existing)
@click.option("--json", "as_data", is_flag=True, help="For programs.")
def info(*, path: Path, as_data: bool) -> None:
    """Show what the store PATH holds, also while a server uses it.

    PATH is a file, or an address such as sqlite:upsim.db.
    """
    try:
        file = ReadOnlyFile(path)
        try:
            found = contents_of(file)
        finally:
            file.close()
    except StoreError as error:
        raise click.ClickException(str(error)) from error
    if as_data:
        click.echo(json.dumps(_data(found), indent=2))
        return
    for line in _lines(found):
        click.echo(line)


@command.command("check")
@click.argument("path", callback=existing)
def check(*, path: Path) -> None:
    """Read everything in the store PATH, and print a line for each problem.

    Stop the server first. Exit codes: 0 no problems, 1 problems, or the store is in use, 2 usage.
    """
    with _opened(path) as file:
        found = StoreCheck(file)
        problems = [*found.problems()]
        for problem in problems:
            click.echo(str(problem))
        if not problems and (files := found.unneeded()):
            size = size_text(sum(one.stat().st_size for one in files))
            click.echo(
                f"no upload needs {counted(len(files), 'file')} of {size}, such as cached videos; "
                f"`upsim store compact {path}` removes them"
            )
    click.echo(f"{path}: {counted(len(problems) or 'no', 'problem')}", err=True)
    sys.exit(FINDING if problems else 0)


@command.command("compact")
@click.argument("path", callback=existing)
def compact_command(*, path: Path) -> None:
    """Make the store PATH as small as it can be, and print its size before and after.

    It stays the same store, but cached videos are rendered again when they are next needed.
    Stop the server first.
    """
    before = sizes_of(path)
    with _opened(path) as file:
        compact(file)
    after = sizes_of(path)
    click.echo(f"before: {size_text(before.total)} ({sizes_text(before)})")
    click.echo(f"after:  {size_text(after.total)} ({sizes_text(after)})")


@contextmanager
def _opened(path: Path) -> Iterator[SqliteFile]:
    """Yield the file of a store that no other process has open."""
    try:
        ReadOnlyFile(path).close()  # makes no tables in an empty file
        file = SqliteFile(path)
        try:
            yield file
        finally:
            file.close()
    except StoreError as error:
        raise click.ClickException(str(error)) from error


def _data(found: StoreContents) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(found)
    data["written"] = iso(found.written)
    for shown, sandbox in zip(data["sandboxes"], found.sandboxes, strict=True):
        shown["now"] = iso(sandbox.now)
    return data


def _lines(found: StoreContents) -> Iterator[str]:
    user, version, counts = found.user, found.version or "an earlier version", found.counts
    yield f"{found.path}: store of format {found.format}, written by upsim {version}"
    yield f"  {f'in use by {user}' if user else 'not in use'}; last written {iso(found.written)}"
    yield f"  size: {sizes_text(found.sizes)}"
    issued, retired = counts["issued_keys"], counts["retired_keys"]
    yield f"  keys: {issued} issued, {retired} retired"
    yield f"  batches: {counts['batches']}; named snapshots: {counts['named_snapshots']}"
    titles = ("sandbox", "scenario", "clock", "time", "accounts", "jobs", "requests", "events")
    yield from _table([titles, *map(_row, found.sandboxes)])


def _row(box: SandboxContents) -> tuple[str, ...]:
    states = ", ".join(f"{number:,} {state}" for state, number in sorted(box.jobs.items()))
    events = f"{box.snapshot_events:,} in a snapshot, {box.batch_events:,} in batches"
    jobs = states or "none"
    counts = (str(box.accounts), jobs, f"{box.requests:,}", events)
    return box.name, box.scenario, box.clock, iso(box.now), *counts


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield aligned lines."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()


def sizes_text(sizes: StoreSizes) -> str:
    """Return the sizes of a store in words."""
    files = f"{counted(sizes.file_count, 'file')} of {size_text(sizes.files)}"
    return f"database {size_text(sizes.database)}, log {size_text(sizes.log)}, {files}"


def size_text(size: int) -> str:
    """Return bytes with a unit.

    >>> size_text(900), size_text(4096), size_text(5 * 1024 * 1024)
    ('900 B', '4.0 KiB', '5.0 MiB')
    """
    number, unit = float(size), 0
    while number >= KIB and unit < len(_UNITS) - 1:
        number, unit = number / KIB, unit + 1
    return f"{number:.1f} {_UNITS[unit]}" if unit else f"{size} B"


_UNITS = ("B", "KiB", "MiB", "GiB")
