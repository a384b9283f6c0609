"""`upsim drift`: where recorded answers differ from the contract and from the simulator."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import click

from upsim.cli.file_arguments import FileName
from upsim.cli.parameters import WholeNumber
from upsim.cli.verify import GROUP, LOCAL

_READ, _WRITTEN = FileName(), FileName(written=True)


@click.command("drift")
@click.argument("cassettes", nargs=-1, required=True, metavar="CASSETTE...", type=_READ)
@click.option(
    "--stale-after",
    type=WholeNumber(min=0),
    metavar="DAYS",
    help="Evidence older than this is a finding, too.",
)
@click.option(
    "--simulator/--no-simulator",
    default=True,
    show_default=True,
    help="Compare with a simulator, or with the contract only.",
)
@click.option("--json", type=_WRITTEN, help="Write all differences as JSON.")
@click.option("--html", type=_WRITTEN, help="Write one page that needs nothing else.")
@click.option(
    "--accept",
    type=_WRITTEN,
    help="Differences that are known, in YAML: with these alone the command ends well.",
)
@click.option(
    "--accept-new",
    metavar="REASON",
    help="Add every other difference to the file of --accept, with this reason and today's date.",
)
@click.option(
    "--uses",
    type=_READ,
    help="What we rely on, in YAML: a finding that touches nothing of it does not fail.",
)
@click.option(
    "--scenario",
    type=_WRITTEN,
    help="Make a scenario of the cassette here, instead of a report. Replaces an existing file.",
)
def command(**asked: object) -> None:
    """Show what cassettes of `upsim record` tell of changes, one line a difference.

    Exits with 0 when nothing differs, 1 when something does, 2 when a cassette cannot be read.
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
