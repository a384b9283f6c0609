"""`upsim env`: shell settings that point programs to a simulator instead of a provider."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar
from urllib.parse import quote

import click
import httpx
import msgspec

from upsim.cli.environment_variables import ADMIN_TOKEN
from upsim.cli.option_types import SCENARIO
from upsim.client.exceptions import ProtocolError
from upsim.client.http.admin import ask_admin
from upsim.client.http.connections import sync_connections
from upsim.client.server_urls import DEFAULT_URL, base_url_flaw
from upsim.core.baseline import BaselineError
from upsim.core.knobs_and_dialects import check_dialect
from upsim.core.printable_text import printable
from upsim.engine.registry import DEFAULT
from upsim.providers import folders
from upsim.scenario.loader import Library
from upsim.testing.running_server import URL
from upsim.web.landing_page import clients_of

FINDING = 1
SECONDS = 10
MANY, SHOWN = 5, 80
"""Unknown providers that a message names, and characters of each name."""

_VALUE = re.compile(r"[A-Za-z0-9_./:@%+=,\[\]-]*")
"""What any shell takes as a value and nothing else; names of variables are those known here."""
T = TypeVar("T")
Line = Callable[[str, str], str]


def _powershell(name: str, value: str) -> str:
    quoted = value.replace("'", "''")
    return f"$Env:{name} = '{quoted}'"


SHELLS: Mapping[str, Line] = {
    "sh": lambda name, value: f"export {name}={shlex.quote(value)}",
    "fish": lambda name, value: f"set -gx {name} {shlex.quote(value)}",
    "powershell": _powershell,
    "dotenv": lambda name, value: f"{name}={value}",
}


@click.command("env")
@click.option(
    "--url",
    default=DEFAULT_URL,
    show_default=True,
    envvar=["UPSIM_ENV_URL", URL],
    help="Base URL of the running simulator.",
)
@click.option(
    "--admin-token",
    envvar=ADMIN_TOKEN,
    help="Admin token printed by `upsim serve`; needed unless the server listens on loopback.",
)
@click.option("--sandbox", metavar="ID", help="Issue keys for this existing sandbox.")
@click.option("--new", is_flag=True, help="Create a sandbox and use its keys.")
@click.option("--scenario", type=SCENARIO, help="Scenario of the new sandbox.")
@click.option("--clock", help="Clock of the new sandbox: real, scaled:<n>, manual or auto.")
@click.option("--dialect", default="", help="Dialect in the base URLs, for example live.")
@click.option("--shell", type=click.Choice(list(SHELLS)), default="sh", show_default=True)
@click.option("--json", "as_data", is_flag=True, help="For programs.")
def command(  # noqa: PLR0913 - one argument for each option
    *,
    url: str,
    admin_token: str | None,
    sandbox: str | None,
    new: bool,
    scenario: str | None,
    clock: str | None,
    dialect: str,
    shell: str,
    as_data: bool,
) -> None:
    """Print base URLs and keys of a running simulator as settings for a shell.

    `eval "$(upsim env)"` sets WAVESPEED_BASE_URL, WAVESPEED_API_KEY and so on for each provider,
    and the variables that known clients read, such as VENICE_API_BASE_URL.
    The keys are new. They belong to the sandbox `default` unless an option chooses another.
    """
    if (scenario or clock) and not new:
        raise click.UsageError(
            "--scenario and --clock need --new: an existing sandbox keeps its own"
        )
    if new and sandbox:
        raise click.UsageError(
            "use either --new (creates a sandbox) or --sandbox (names an existing one)"
        )
    base = _root(url)
    headers = {"Authorization": f"Bearer {admin_token}"} if admin_token else {}
    with sync_connections(SECONDS) as http:
        http.base_url = httpx.URL(f"{base}/__sim")
        http.headers.update(headers)
        http.event_hooks = {"response": [_noting()]}
        providers = _known(_ask(http, "GET", "/health", "providers", dict[str, object]), base)
        _check_dialect(providers, dialect)
        if new:
            order = {"scenario": scenario, "clock": clock}
            named = {name: value for name, value in order.items() if value is not None}
            keys = _ask(http, "POST", "/sandboxes", "keys", dict[str, str], named)
        else:
            keys = {name: _key(http, sandbox, name) for name in providers}
    if not set(providers) <= keys.keys():
        raise _stopped(
            f"the server at {base} is not a simulator: it did not return a key for each provider"
        )
    variables = {URL: base}
    for name in providers:
        variables[f"{name.upper()}_BASE_URL"] = "/".join(filter(None, (base, name, dialect)))
        variables[f"{name.upper()}_API_KEY"] = keys[name]
    for name, path in client_variables(providers, dialect):
        variables.setdefault(name, base + path)
    if as_data:
        click.echo(json.dumps(variables, indent=2))
        return
    strange = [name for name, value in variables.items() if not _VALUE.fullmatch(value)]
    if strange:
        raise _stopped(f"{base} gave no setting for a shell ({strange[0][:80]!r}); --json shows it")
    for name, value in variables.items():
        click.echo(SHELLS[shell](name, value))


def _root(url: str) -> str:
    """Return the base URL of a server. Raises UsageError for a provider's URL or an invalid URL."""
    flaw = base_url_flaw(url)
    if flaw:
        raise click.UsageError(f"--url {url[:200]!r} is not the base URL: {flaw}")
    return url.rstrip("/")


def _known(providers: Iterable[str], base: str) -> list[str]:
    """Return the providers that this upsim knows; a server may have more."""
    library = Library(folders=folders)
    named, ours = [*providers], {*library.providers()}
    known = [name for name in named if name in ours]
    if not known:
        raise _stopped(f"what answers at {base} is no simulator: it names no provider known here")
    unknown = [printable(name[:SHOWN]) for name in named if name not in ours]
    if unknown:
        others = f" and {len(unknown) - MANY} more" if len(unknown) > MANY else ""
        names = ", ".join(unknown[:MANY])
        click.echo(f"upsim: skipped providers that this upsim lacks: {names}{others}", err=True)
    return known


def _check_dialect(providers: Iterable[str], dialect: str) -> None:
    """Raise UsageError if the simulator would respond to this dialect's base URLs with 404."""
    library = Library(folders=folders)
    try:
        for provider in sorted({*providers} & {*library.providers()}) if dialect else ():
            check_dialect(library.baseline(provider).baseline, dialect)
    except BaselineError as error:
        raise click.UsageError(f"--dialect: {error}") from error


def client_variables(providers: Iterable[str], dialect: str) -> Iterator[tuple[str, str]]:
    """Yield the environment variables of known clients, each with the base URL for that client."""
    library = Library(folders=folders)
    for provider in sorted({*providers} & {*library.providers()}):
        baseline = library.baseline(provider).baseline
        for row in clients_of(baseline):
            first, *rest = row["base"].strip("/").split("/")
            own = rest.pop(0) if rest and rest[0] in baseline.dialects else ""
            if "variable" in row:
                yield row["variable"], "/".join(("", *filter(None, (first, dialect or own)), *rest))


def _key(http: httpx.Client, sandbox: str | None, provider: str) -> str:
    name, home = (quote(text, safe="") for text in (provider, sandbox or DEFAULT))
    path = f"/sandboxes/{home}/accounts/{name}/keys"
    return _ask(http, "POST", path, "key", str, {})


def _ask(
    http: httpx.Client,
    method: str,
    path: str,
    name: str,
    kind: type[T],
    body: Mapping[str, object] | None = None,
) -> T:
    """Return one part of an admin API response; print a line and exit if the request fails."""
    try:
        answer = ask_admin(http, method, path, body=body)
        if answer.status == httpx.codes.UNAUTHORIZED:
            raise _stopped(f"{answer.message}; pass it with --admin-token or {ADMIN_TOKEN}")
        if not answer.is_success:
            raise _stopped(answer.message)
        return msgspec.convert(answer.document.get(name), kind)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        start = f"start one with `upsim serve`, or name its URL with --url or {URL}"
        raise _stopped(f"no simulator responds at {_base(http)}: {error}; {start}") from error
    except (ProtocolError, msgspec.ValidationError) as error:
        text = f"the server at {_base(http)} is not a simulator: {name}: {error}"
        raise _stopped(text) from error


def _base(http: httpx.Client) -> str:
    """Return the base URL of the server, without the path of the admin API."""
    return str(http.base_url).removesuffix("/").removesuffix("/__sim")


def _noting() -> Callable[[httpx.Response], None]:
    """Return a hook that prints each note from a server once."""
    printed: set[str] = set()

    def note(response: httpx.Response) -> None:
        said = response.headers.get("x-upsim-note", "")[:300]
        if said and said not in printed:
            printed.add(said)
            click.echo(f"upsim: {printable(said)}", err=True)

    return note


def _stopped(message: str) -> SystemExit:
    """Print why the command cannot continue, and return the exit."""
    click.echo(f"upsim: {message}", err=True)
    return SystemExit(FINDING)
