"""`upsim validate`: every mistake of scenario files, each at its place."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from upsim.cli.parameters import SCENARIO
from upsim.core.numbers import counted
from upsim.providers import discover, folders
from upsim.scenario.loader import Library, UnknownScenarioError
from upsim.scenario.tree import Mistake

FINDING = 1


@click.command("validate")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=SCENARIO)
@click.option("--json", "as_data", is_flag=True, help="For programs.")
def command(*, files: tuple[str, ...], as_data: bool) -> None:
    """Print every mistake of the files as file:line:column: path: message.

    A FILE is a path, or the name of a scenario such as vicsee/insufficient-funds.
    Exit 0: all is well; 1: there are mistakes; 2: there is no such file.
    """
    library = Library(folders=folders)
    paths = [_path_of(library, name) for name in files]
    trees = [library.resolve(path) for path in paths]
    found = {m for tree in trees for m in library.mistakes_in(tree, discover())}
    if as_data:
        click.echo(json.dumps([_data(mistake) for mistake in sorted(found)], indent=2))
    else:
        for mistake in sorted(found):
            click.echo(str(mistake))
    many = "file" if len(paths) == 1 else "files"
    click.echo(f"{len(paths)} {many}, {counted(len(found) or 'no', 'mistake')}", err=True)
    sys.exit(FINDING if found else 0)


def _data(mistake: Mistake) -> dict[str, object]:
    mark = mistake.mark
    where = {"file": mark.file, "line": mark.line, "column": mark.column}
    return {**where, "path": mistake.place, "message": mistake.message}


def _path_of(library: Library, name: str) -> Path:
    path = Path(name)
    if path.is_file():
        return path
    try:
        return library.path_of(name)
    except UnknownScenarioError as error:
        raise click.UsageError(str(error)) from error
