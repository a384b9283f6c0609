"""The variables `UPSIM_…` that commands read, and those that none of them knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

import click

PREFIX = "UPSIM_"
ADMIN_TOKEN = "UPSIM_ADMIN_TOKEN"  # noqa: S105 - the name of a variable
OTHERS = (ADMIN_TOKEN, "UPSIM_ALLOW_HOST", "UPSIM_TRUSTED_HOSTS", "UPSIM_URL")
"""Named without a command: for several of them, the client or the pytest plug-in."""
OF_THE_TESTS = ("UPSIM_CI_", "UPSIM_CONTRACT_", "UPSIM_REQUIRE_", "UPSIM_STATEFUL_", "UPSIM_TEST_")
"""Beginnings of names that this project's own tests use, and that scenarios may."""


def unknown_variables(group: click.Group, names: Iterable[str]) -> Iterator[str]:
    """A sentence for each name `UPSIM_…` that no command reads, with the nearest one that is."""
    for name in sorted(names):
        if not name.startswith(PREFIX) or name.startswith(OF_THE_TESTS):
            continue
        known = [*OTHERS, *_variables(group, name)]
        if name not in known:
            near = get_close_matches(name[:100], known, n=1)
            hint = (
                f"did you mean {near[0]}?" if near else "`upsim COMMAND --help` lists the options"
            )
            yield f"{name[:100]} is set, but no command reads it; {hint}"


def _variables(group: click.Group, name: str) -> Iterator[str]:
    """The variables of the command that a name belongs to; other commands are not imported."""
    context = click.Context(group)
    commands = group.list_commands(context)
    word = name.removeprefix(PREFIX).partition("_")[0].lower()
    for one in get_close_matches(word, commands, n=1):
        command = group.get_command(context, one)
        options: Mapping[str, click.Parameter] = {
            str(option.name): option for option in (command.params if command else ())
        }
        for option_name, option in options.items():
            if option.envvar is None:
                yield f"{PREFIX}{one.upper()}_{option_name.upper()}"
