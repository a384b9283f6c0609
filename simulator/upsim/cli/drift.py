"""`upsim drift`: compare recorded responses with the documents and the simulator."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import click

from upsim.cli.file_arguments import FileName
from upsim.cli.option_types import WholeNumber
from upsim.cli.verify import GROUP, LOCAL

_READ, _WRITTEN = FileName(), FileName(written=True)


@click.command("drift")
@click.argument("cassettes", nargs=-1, required=True, metavar="CASSETTE...", type=_READ)
@click.option(
    "--stale-after",
    type=WholeNumber(min=0),
    metavar="DAYS",
    help="Also report evidence older than DAYS.",
)
@click.option(
    "--simulator/--no-simulator",
    default=True,
    show_default=True,
    help="Compare with a simulator too, or only with the documents.",
)
@click.option("--json", type=_WRITTEN, help="Write all differences as JSON.")
@click.option("--html", type=_WRITTEN, help="Write a self-contained HTML report.")
@click.option(
    "--accept",
    type=_WRITTEN,
    help="YAML file of known differences, which do not fail the command.",
)
@click.option(
    "--accept-new",
    metavar="REASON",
    help="Add all new differences to the --accept file, with this reason and today's date.",
)
@click.option(
    "--uses",
    type=_READ,
    help="YAML file of what you use; findings about anything else do not fail the command.",
)
@click.option(
    "--scenario",
    type=_WRITTEN,
    help="Write a scenario made from the cassette instead of a report. Replaces an existing file.",
)
def command(**asked: object) -> None:
    """Compare recordings made by `upsim record` with the documents and the simulator.

    Prints one line per difference. Exit codes: 0 no difference, 1 a difference, 2 a cassette cannot
    be read.
    """
    found = next(iter(entry_points(group=GROUP, name="drift")), None)
    if found is None:
        raise click.UsageError("the contracts are not installed here")
    run = found.load()
    try:
        code = run(asked, LOCAL["sim"], click.echo)
    except sys.modules[run.__module__].UsageError as error:
        raise click.UsageError(str(error)) from error
    sys.exit(code)
