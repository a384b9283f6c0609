"""`upsim completion`: print a script that completes commands, options and scenarios in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_UPSIM_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, *, shell: str) -> None:
    """Print the script that completes upsim in a shell: `source <(upsim completion bash)`."""
    kind = get_completion_class(shell)
    if kind is None:  # click knows the three for as long as it has completion
        raise click.UsageError(f"click {click.__version__} cannot complete in {shell}")
    root = ctx.find_root()
    click.echo(kind(root.command, {}, "upsim", VARIABLE).source())
