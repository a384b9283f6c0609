"""`upsim scenarios`: what there is, what stands in a file, and where each value comes from."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from upsim.providers import folders
from upsim.scenario.explain import as_json, as_text, explain
from upsim.scenario.listing import listing
from upsim.scenario.loader import Library, ScenarioError, UnknownScenarioError
from upsim.scenario.publish import published
from upsim.web.bodies import encode

FINDING = 1
_Decorated = Callable[[Callable[..., None]], Callable[..., None]]


def _json_option() -> _Decorated:
    return click.option("--json", "as_data", is_flag=True, help="For programs.")


@click.group("scenarios")
def command() -> None:
    """Show the scenarios that come with the package, or one of your own by its path."""


@command.command("list")
@_json_option()
def list_command(*, as_data: bool) -> None:
    """List every scenario with its provider and its summary."""
    found = listing(_library())
    if as_data:
        _print_json([dataclasses.asdict(item) for item in found])
        return
    width = max(len(item.name) for item in found)
    for item in found:
        click.echo(f"{item.name.ljust(width)}  {item.provider.ljust(9)}  {item.summary}")


@command.command("show")
@click.argument("name")
def show_command(name: str) -> None:
    """Print the file of a scenario."""
    with _findings():
        click.echo(_library().path_of(name).read_text(encoding="utf-8"), nl=False)


@command.command("explain")
@click.argument("name")
@_json_option()
def explain_command(name: str, *, as_data: bool) -> None:
    """Print a scenario with all that it extends: file, line and evidence of every value."""
    with _findings():
        found = explain(_library(), name)
    if as_data:
        _print_json(as_json(found))
    else:
        click.echo(as_text(found), nl=False)


@command.command("schema")
def schema_command() -> None:
    """Print the JSON Schema by which editors judge and complete scenario files."""
    click.echo(published(_library()), nl=False)


def _library() -> Library:
    return Library(folders=folders)


@contextmanager
def _findings() -> Iterator[None]:
    try:
        yield
    except ScenarioError as error:
        click.echo(str(error), err=True)
        sys.exit(FINDING)
    except UnknownScenarioError as error:
        raise click.UsageError(str(error)) from error


def _print_json(value: object) -> None:
    click.echo(encode(value).decode())
