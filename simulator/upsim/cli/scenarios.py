"""`upsim scenarios`: list scenarios, print a file, and explain where each value comes from."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import click
import msgspec

from upsim.atomic_files import write_whole
from upsim.cli.option_types import PROVIDER, SCENARIO
from upsim.core.nearest_names import near_names
from upsim.core.suggestions import unknown
from upsim.providers import folders
from upsim.scenario.explain import as_json, as_text, explain, short
from upsim.scenario.listing import listing
from upsim.scenario.loader import Library, ScenarioError, UnknownScenarioError
from upsim.scenario.scenario_search import (
    Listed,
    former_names,
    known_synonyms,
    searched,
    vocabulary,
)
from upsim.scenario.schema_files import published, schema_files
from upsim.web.request_bodies import encode

FINDING = 1
ROOM = 120
"""Columns of a list that is not printed on a terminal."""
_Decorated = Callable[[Callable[..., None]], Callable[..., None]]


def _json_option() -> _Decorated:
    return click.option("--json", "as_data", is_flag=True, help="For programs.")


@click.group("scenarios")
def command() -> None:
    """List, show and explain the built-in scenarios, or a scenario file of yours."""


@command.command("list")
@click.argument("words", nargs=-1)
@_json_option()
def list_command(*, words: tuple[str, ...], as_data: bool) -> None:
    """List the scenarios of each provider, or those that match all WORDS.

    The order of WORDS does not matter; names, summaries and synonyms are searched:
    "rate limit" finds a 429. If no scenario matches all WORDS, the best matches are listed.
    """
    library = _library()
    everything = listing(library)
    synonyms = {**known_synonyms(), **former_names(library.aliases)}
    search = searched(words, synonyms)
    found, has = search.of(everything)
    whole = has == len(search.terms)
    if as_data:
        _print_json([msgspec.structs.asdict(item) for item in found if whole])
        sys.exit(0 if whole else FINDING)
    if not whole:
        typed = " and ".join(repr(term.typed) for term in search.terms)
        strange = [t.typed for t in search.terms if not any(map(t.is_in, everything))]
        names = [*dict.fromkeys(item.short for item in everything)]
        near = _near(strange, names) or _near(strange, vocabulary(everything, synonyms))
        advice = "" if has else "; `upsim scenarios list` without words shows all"
        click.echo(f"no scenario matches {typed}{near or advice}")
    if has and not whole:
        click.echo(f"these match {has} of the {len(search.terms)}:\n")
    if has or whole:
        _print_list(found)
    sys.exit(0 if whole else FINDING)


def _near(words: Iterable[str], known: Sequence[str]) -> str:
    """Return a hint with the names and synonyms that are spelled nearly like the words.

    Numbers get no hint.
    """
    spelt = [word for word in words if not word.isdecimal()]
    near = dict.fromkeys(hit for word in spelt for hit in near_names(word, known))
    return f"; did you mean {', '.join(near)}?" if near else ""


def _print_list(found: list[Listed]) -> None:
    width = max(len(item.short) for item in found)
    room = max(shutil.get_terminal_size((ROOM, 0)).columns - width - 4, ROOM // 3)
    for provider, items in groupby(found, key=attrgetter("provider")):
        group = list(items)
        click.echo(f"{provider}  ({len(group)})")
        for item in group:
            first, *more = textwrap.wrap(item.summary, room) or [""]
            mark = "*" if item.template else " "
            click.echo(f"{mark} {item.short.ljust(width)}  {first}".rstrip())
            for line in more:
                click.echo(f"  {' ' * width}  {line}")
        click.echo()
    if any(item.template for item in found):
        click.echo("* from the template of this name in _common, which every provider shares")


@command.command("show")
@click.argument("name", type=SCENARIO)
def show_command(name: str) -> None:
    """Print the file of a scenario, or its template with the names of the provider filled in."""
    library = _library()
    with _findings():
        template = library.template_of(name)
        if template is not None:
            click.echo(f"# From the template {short(template)}, which every provider shares.")
        click.echo(library.text_of(name), nl=False)


@command.command("explain")
@click.argument("name", type=SCENARIO)
@_json_option()
def explain_command(name: str, *, as_data: bool) -> None:
    """Print a scenario with everything that it extends: file, line and evidence of every value."""
    with _findings():
        found = explain(_library(), name)
    if as_data:
        _print_json(as_json(found))
    else:
        click.echo(as_text(found), nl=False)


@command.command("schema")
@click.argument("provider", required=False, type=PROVIDER)
@click.option("--no-names", is_flag=True, help="Describe only keys, for files of any provider.")
@click.option(
    "--write",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write DIR/PROVIDER/schema.json for the providers, and DIR/schema.json without names.",
)
def schema_command(*, provider: str | None, no_names: bool, folder: Path | None) -> None:
    """Print the JSON Schema that editors use to validate and complete scenario files.

    It lists the names that exist for PROVIDER, or by default for all providers.
    """
    library = _library()
    known = library.providers()
    if provider is not None and provider not in known:
        raise click.UsageError(unknown("provider", provider, known))
    chosen = () if no_names else known if provider is None else (provider,)
    if folder is None:
        click.echo(published(library, chosen), nl=False)
        return
    for name, text in schema_files(library, chosen).items():
        _write(folder / name, text)


def _write(file: Path, text: str) -> None:
    """Write a file, and create its folders."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, text.encode())
    except OSError as error:
        raise click.UsageError(f"cannot write {file}: {error.strerror}") from error
    click.echo(f"wrote {file}", err=True)


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
