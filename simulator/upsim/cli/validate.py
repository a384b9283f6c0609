"""`upsim validate`: print every mistake in scenario files, with file, line and column."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import click

from upsim.cli.option_types import SCENARIO
from upsim.core.numbers import counted
from upsim.providers import discover, folders
from upsim.scenario.loader import Library, UnknownScenarioError
from upsim.scenario.yaml_tree import Mistake, Tree

FINDING, MISSING = 1, 2
MAX_PRINTED = 100
"""Number of mistakes per file that are printed."""


@click.command("validate")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=SCENARIO)
@click.option("--json", "as_data", is_flag=True, help="For programs.")
def command(*, files: tuple[str, ...], as_data: bool) -> None:
    """Print every mistake in the files as file:line:column: path: message.

    A FILE is a path, or the name of a scenario such as vicsee/insufficient-funds.
    A template in _common is checked for each provider that uses it.
    If a file has more than 100 mistakes, the first 100 are printed; --json prints all of them.
    Exit codes: 0 no mistakes, 1 mistakes, 2 a file does not exist (other files are checked).
    """
    library = Library(folders=folders)
    read = [_trees(library, name) for name in files]
    trees = [tree for one in read if not isinstance(one, str) for tree in one]
    missing = [one for one in read if isinstance(one, str)]
    found = {m for tree in trees for m in library.mistakes_in(tree, discover())}
    if as_data:
        click.echo(json.dumps([_data(mistake) for mistake in sorted(found)], indent=2))
    else:
        for line in _lines(sorted(found)):
            click.echo(line)
    for message in missing:
        click.echo(f"Error: {message}", err=True)
    counts = [counted(len(files) - len(missing), "file"), counted(len(found) or "no", "mistake")]
    if missing:
        counts.append(f"{counted(len(missing), 'file')} not found")
    click.echo(", ".join(counts), err=True)
    sys.exit(MISSING if missing else FINDING if found else 0)


def _lines(found: list[Mistake]) -> Iterator[str]:
    """Yield a line for each mistake, and a line that counts the mistakes not shown."""
    for file, some in groupby(found, key=lambda mistake: mistake.mark.file):
        of_file = list(some)
        yield from map(str, of_file[:MAX_PRINTED])
        if len(of_file) > MAX_PRINTED:
            yield f"{file}: … and {counted(len(of_file) - MAX_PRINTED, 'more mistake')}"


def _data(mistake: Mistake) -> dict[str, object]:
    mark = mistake.mark
    where = {"file": mark.file, "line": mark.line, "column": mark.column}
    return {**where, "path": mistake.place, "message": mistake.message}


def _trees(library: Library, name: str) -> list[Tree] | str:
    """Return the trees of a scenario file, or a message that the file does not exist."""
    path = Path(name)
    if path.is_file():
        return library.resolve_all(path)
    try:
        return [library.resolve_name(name)]
    except UnknownScenarioError as error:
        return str(error)
