"""`upsim replay`: replay an exported session and compare each response."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from contextlib import ExitStack
from pathlib import Path

import click

from upsim.app import app_for
from upsim.atomic_files import write_whole
from upsim.cli.file_arguments import FileName
from upsim.web.replay.export_document import Document, ExportError, read
from upsim.web.replay.pytest_writer import Written, written
from upsim.web.replay.response_comparison import ReplayDifference, ReplayReport, replay
from upsim.web.request_bodies import encode

FINDING = 1
SHOWN = 5
"""Number of differences that are printed."""


@click.command("replay")
@click.argument("file", type=FileName(exists=True))
@click.option("--json", "as_data", is_flag=True, help="For programs.")
@click.option(
    "--pytest", "as_test", is_flag=True, help="Write a pytest file that replays the session."
)
@click.option(
    "--to",
    type=FileName(written=True),
    help="File for the test, replaced if it exists. Default: standard output.",
)
def command(file: Path, *, as_data: bool, as_test: bool, to: Path | None) -> None:
    """Replay FILE, an export from `GET /__sim/sandboxes/<id>/export`, in process, in virtual time.

    Exit codes: 0 every response equals the recorded one, byte by byte; 1 a response differs,
    or a request could not be repeated; 2 FILE is not an export.
    """
    if to is not None and not as_test:
        raise click.UsageError("--to needs --pytest")
    try:
        document = read(file.read_bytes(), name=str(file))
        app = app_for(document)
        try:
            if as_test:
                folder = None if to is None else f"{to.stem}_bodies"
                made = asyncio.run(written(app, document, source=file.name, folder=folder))
                sys.exit(_write(made, to))
            report = asyncio.run(replay(app, document))
        finally:
            app.close()
    except ExportError as error:
        raise click.UsageError(str(error)) from error
    if as_data:
        click.echo(encode(_data(report)).decode())
    else:
        click.echo("\n".join(_lines(file, document, report)))
    sys.exit(0 if report.same else FINDING)


def _write(made: Written, to: Path | None) -> int:
    """Write a test and its body files; return the exit code."""
    if to is None:
        click.echo(made.text, nl=False)
    else:
        try:
            _write_all(made, to)
        except OSError as error:
            raise click.UsageError(f"cannot write {to}: {error.strerror}") from error
        bodies = f" and {len(made.files)} bodies beside it" if made.files else ""
        click.echo(f"wrote {to}{bodies}", err=True)
    for note in made.notes:
        click.echo(f"note: {note}", err=True)
    for reason in made.missing:
        click.echo(f"the test is shorter than the session and fails: {reason}", err=True)
    return FINDING if made.missing else 0


def _write_all(made: Written, to: Path) -> None:
    """Write the body files, then the test.

    Raises OSError and leaves no file if one cannot be written.
    """
    folder = to.parent / f"{to.stem}_bodies"
    with ExitStack() as ended_early:
        if made.files and not folder.exists():
            folder.mkdir()
            ended_early.callback(folder.rmdir)
        for name, content in made.files.items():
            path = folder / name
            if not path.exists():
                ended_early.callback(path.unlink, missing_ok=True)
            write_whole(path, content)
        write_whole(to, made.text.encode())
        ended_early.pop_all()


def _data(report: ReplayReport) -> dict[str, object]:
    return {
        "same": report.same,
        "entries": report.entries,
        "kinds": dict(report.kinds),
        "compared": report.compared,
        "unanswered": report.unanswered,
        "differences": [dataclasses.asdict(found) for found in report.differences],
        "notes": report.notes,
        "stopped": report.stopped or None,
        "skipped": report.skipped,
    }


def _lines(file: Path, document: Document, report: ReplayReport) -> list[str]:
    made = document.sandbox
    clock = f"clock {made.clock.mode}" + (
        f", pace {made.clock.pace}" if made.clock.pace > 1 else ""
    )
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(report.kinds.items()))
    lines = [
        f"{file}: sandbox {made.id}, scenario {made.scenario}, {clock}, seed {made.seed}",
        f"played    {sum(report.kinds.values())} of {report.entries} entries: {kinds or 'none'}",
        f"compared  {report.compared} responses, {len(report.differences) or 'none'} differ",
    ]
    if report.unanswered:
        lines.append(f"          {report.unanswered} had no response")
    lines += [f"note      {note}" for note in report.notes]
    lines += [f"skipped   {reason}" for reason in report.skipped]
    for found in report.differences[:SHOWN]:
        lines += _shown(found)
    if len(report.differences) > SHOWN:
        lines.append(f"… and {len(report.differences) - SHOWN} more (--json shows all)")
    if report.stopped:
        lines.append(f"stopped   {report.stopped}")
    return lines


def _shown(found: ReplayDifference) -> list[str]:
    lines = [f"#{found.number} at {found.at}: {found.request[:120]}"]
    for part, recorded, now in found.differs:
        lines += [
            f"    {part}",
            f"      recorded  {recorded or '-'}",
            f"      now       {now or '-'}",
        ]
    return lines
