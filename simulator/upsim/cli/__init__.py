"""The `upsim` command, one module per subcommand, each imported when it is called."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator
from typing import Any

import click

from upsim.cli.environment_variables import (
    PREFIX,
    show_variables,
    unknown_variables,
    with_variables,
)
from upsim.cli.escaped_output import escaped_output
from upsim.core.suggestions import suggestion

COMMANDS = {
    "serve": "Run the simulator as a server.",
    "demo": "Upscale a real clip with every model and show the results.",
    "quote": "Show what each model would charge for a video, or why it refuses.",
    "upscale": "Upscale a video with one model, simulated or live.",
    "validate": "Print every mistake in scenario files, with file, line and column.",
    "scenarios": "List, show and explain scenarios.",
    "replay": "Replay an exported session and compare its responses.",
    "verify": "Check a simulator or a live API against every documented fact.",
    "record": "Record requests and responses between a client and a provider.",
    "drift": "Compare recorded responses with the documents and the simulator.",
    "env": "Print base URLs and keys of a running simulator for a shell.",
    "completion": "Print the script that completes upsim in a shell.",
    "store": "Look into the file of a durable store, check it, or make it smaller.",
    "doctor": "Show what is installed and what is missing.",
}


class Commands(click.Group):
    """Find a subcommand in the module of its name; escape everything that commands print."""

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - click's signature
        """Run a command from its arguments and report its errors."""
        with escaped_output():
            return super().main(*args, **kwargs)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names of all subcommands, in the order of the help text."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Return the subcommand of this name."""
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"upsim.cli.{name}").command
        show_variables(command, f"{PREFIX}{name.upper()}")
        return command

    def unknown_variables(self, names: Iterable[str], running: str = "") -> Iterator[str]:
        """Yield a sentence for each variable `UPSIM_…` that no command reads."""
        return unknown_variables(self, names, running)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as in click
        """Run the subcommand; a usage error names the environment variable that caused it."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise with_variables(error) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the requested subcommand, or fail with the nearest name if it does not exist."""
        near = suggestion(args[0], COMMANDS)
        if args[0] not in COMMANDS and near and not ctx.resilient_parsing:
            ctx.fail(f"No such command {args[0]!r}; {near}")
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    if value and not ctx.resilient_parsing:
        from upsim.cli.doctor import version_text

        click.echo(version_text())
        ctx.exit()


@click.group(
    cls=Commands, context_settings={"auto_envvar_prefix": "UPSIM", "max_content_width": 100}
)
@click.option(
    "--version",
    is_flag=True,
    allow_from_autoenv=False,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version and the dates of the baselines.",
)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Simulate the APIs of companies that upscale videos: same paths, responses and prices.

    Every option can also be set by the variable that the command's --help shows, such as
    UPSIM_SERVE_PORT. For all commands, UPSIM_URL is the running server, and UPSIM_ADMIN_TOKEN its
    admin token.
    """
    if isinstance(ctx.command, Commands):
        for line in ctx.command.unknown_variables(os.environ, ctx.invoked_subcommand or ""):
            click.echo(f"upsim: {line}", err=True)
