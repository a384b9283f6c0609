"""The environment variables `UPSIM_…`: those that commands read, and unknown ones."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click
from click.core import ParameterSource

from upsim.core.nearest_names import closest, near_names
from upsim.testing.running_server import OF_THE_TESTS, URL

PREFIX = "UPSIM_"
ADMIN_TOKEN = "UPSIM_ADMIN_TOKEN"  # noqa: S105 - the name of a variable
OTHERS = (ADMIN_TOKEN, URL, "UPSIM_TRUSTED_HOSTS")
"""Names that are shared by several commands, the client or the pytest plug-in."""
_OPTION = re.compile(r"--[a-z][a-z-]*")
_LEAST = 3
"""Minimum length of a value that is looked for as a word in a message."""


def show_variables(command: click.Command, prefix: str) -> None:
    """Give each option of a command and its subcommands a variable, shown by `--help`.

    `--journal-max` of `serve` has `UPSIM_SERVE_JOURNAL_MAX`. An option that declares its
    own variables gets no further variable.
    """
    for option in _options(command):
        if option.envvar is None:
            option.envvar = f"{prefix}_{_long_name(option)}"
        elif not option.show_envvar:
            option.allow_from_autoenv = False
        option.show_envvar = True
    for name, inner in _subcommands(command):
        show_variables(inner, f"{prefix}_{name.upper()}")


def with_variables(error: click.UsageError) -> click.UsageError:
    """Return a usage error with the variable that set the wrong value, or all variables in use."""
    if isinstance(error, click.NoSuchOption):
        return _no_such_option(error)
    if error.ctx is None:
        return error
    if isinstance(error, click.BadParameter) and isinstance(error.param, click.Option):
        variable = _source_of(error.ctx, error.param)
        error.param_hint = error.param_hint or variable or f"'{_long_option(error.param)}'"
        return error
    options = _blamed(error.message, error.ctx)
    names = ", ".join(filter(None, (_source_of(error.ctx, one) for one in options)))
    message = f"{error.message} (the environment sets {names})"
    return click.UsageError(message, error.ctx) if names else error


def _blamed(message: str, ctx: click.Context) -> list[click.Option]:
    """Return the options whose value or name is in a message; all options if there is none."""
    options = list(_options(ctx.command))
    words = set(_OPTION.findall(message))
    return (
        [one for one in options if any(_is_in(text, message) for text in _values(one, ctx))]
        or [one for one in options if words.intersection(one.opts)]
        or options
    )


def _values(option: click.Option, ctx: click.Context) -> Iterator[str]:
    """Yield the values of an option as texts."""
    if ctx.get_parameter_source(str(option.name)) in (None, ParameterSource.DEFAULT):
        return
    value = ctx.params.get(str(option.name))
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, str | Path):
            yield str(one)


def _is_in(value: str, message: str) -> bool:
    """Whether a message contains a value in quotes, or a long enough value as a word."""
    is_word = re.search(rf"(?<![\w.-]){re.escape(value)}(?![\w-])", message)
    return repr(value) in message or (len(value) >= _LEAST and is_word is not None)


def _no_such_option(error: click.NoSuchOption) -> click.NoSuchOption:
    """Return the error with only the close matches among click's suggestions."""
    named = {one.lstrip("-"): one for one in error.possibilities or ()}
    near = [named[one] for one in near_names(error.option_name.lstrip("-"), named)]
    return click.NoSuchOption(error.option_name, possibilities=near, ctx=error.ctx)


def unknown_variables(group: click.Group, names: Iterable[str], running: str = "") -> Iterator[str]:
    """Yield a sentence for each variable `UPSIM_…` that no command reads, with the nearest match.

    Variables of the command that is `running` are preferred.
    """
    for name in sorted(names):
        if not name.startswith(PREFIX) or name.startswith(OF_THE_TESTS):
            continue
        known = [*OTHERS, *_variables(group, name, one_command=True)]
        if name not in known:
            known += _variables(group, name, one_command=False)
        if name not in known:
            own = _of_running(group, name, running)
            meant = [own] if own else _near(group, name, known)
            hint = f"did you mean {' or '.join(meant)}?" if meant else ""
            hint = hint or "`upsim COMMAND --help` lists the options"
            yield f"{name[:100]} is set, but no command reads it; {hint}"


def _near(group: click.Group, name: str, known: Sequence[str]) -> Sequence[str]:
    """Return the nearest variables; for a name without a command, search all commands."""
    commands = group.list_commands(click.Context(group))
    word, _, rest = name.removeprefix(PREFIX).partition("_")
    options = {one: _option_part(one, commands) for one in known}
    part = ""
    if not (rest and closest(word.lower(), commands)):
        part = closest(name.removeprefix(PREFIX), options.values())
    near = [one for one in options if part and options[one] == part]
    near = near or list(filter(None, [closest(name, known)]))
    if word.lower() in commands:
        return near
    shared = [one for one in OTHERS if options[one] in {options[found] for found in near}]
    return shared or near


def _option_part(variable: str, commands: Sequence[str]) -> str:
    """Return the part of a variable's name that names the option."""
    word, _, rest = variable.removeprefix(PREFIX).partition("_")
    return rest if word.lower() in commands else variable.removeprefix(PREFIX)


def _of_running(group: click.Group, name: str, running: str) -> str:
    """Return the running command's variable for an option, if the name contains no command."""
    context = click.Context(group)
    rest = name.removeprefix(PREFIX)
    command = group.get_command(context, running) if running else None
    if command is None or rest.partition("_")[0].lower() in group.list_commands(context):
        return ""
    start = f"{PREFIX}{running.upper()}"
    own = {one.removeprefix(f"{start}_"): one for one in _read_by(command, start)}
    return own.get(closest(rest, own), "")


def _variables(group: click.Group, name: str, *, one_command: bool) -> Iterator[str]:
    """Yield the variables of the one command in the name, or of all commands."""
    context = click.Context(group)
    word = name.removeprefix(PREFIX).partition("_")[0].lower()
    commands = group.list_commands(context)
    near = filter(None, [closest(word, commands)])
    for one in near if one_command else commands:
        command = group.get_command(context, one)
        if command is not None:
            yield from _read_by(command, f"{PREFIX}{one.upper()}")


def _read_by(command: click.Command, prefix: str) -> Iterator[str]:
    for option in _options(command):
        yield from _names(option, prefix)
    for name, inner in _subcommands(command):
        yield from _read_by(inner, f"{prefix}_{name.upper()}")


def _names(option: click.Option, prefix: str) -> tuple[str, ...]:
    """Return every variable that sets an option; click itself adds the last one."""
    given = option.envvar or ()
    own = (given,) if isinstance(given, str) else tuple(given)
    return (*own, f"{prefix}_{str(option.name).upper()}") if option.allow_from_autoenv else own


def _source_of(ctx: click.Context, option: click.Option) -> str | None:
    """Return the variable that an option was read from, if any."""
    if ctx.get_parameter_source(str(option.name)) is not ParameterSource.ENVIRONMENT:
        return None
    names = _names(option, str(ctx.auto_envvar_prefix))
    return next((name for name in names if os.environ.get(name)), None)


def _options(command: click.Command) -> Iterator[click.Option]:
    """Yield the options that a variable can set."""
    return (
        one
        for one in command.params
        if isinstance(one, click.Option) and (one.allow_from_autoenv or one.envvar is not None)
    )


def _subcommands(command: click.Command) -> Iterable[tuple[str, click.Command]]:
    return command.commands.items() if isinstance(command, click.Group) else ()


def _long_option(option: click.Option) -> str:
    return max(option.opts, key=len)


def _long_name(option: click.Option) -> str:
    return _long_option(option).lstrip("-").replace("-", "_").upper()
