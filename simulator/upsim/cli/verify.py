"""`upsim verify`: whether a simulator, or a live API, does what its provider documents."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeVar

import click
import httpx

from upsim.cli.file_arguments import FileName
from upsim.cli.parameters import PROVIDER, SCENARIO, Amount, DurationType, base_url, target_url
from upsim.cli.variables import ADMIN_TOKEN
from upsim.client.http.connections import SyncTransport
from upsim.providers import discover, folders
from upsim.scenario.loader import Library, UnknownScenarioError

GROUP = "upsim.commands"
"""The entry-point group by which the suite is found; the simulator never imports it by name."""
START_SECONDS = 20
_Decorated = TypeVar("_Decorated", bound=Callable[..., None])


def _file(name: str, text: str, *, written: bool = True) -> Callable[[_Decorated], _Decorated]:
    return click.option(name, type=FileName(written=written), help=text)


@click.command("verify")
@click.option(
    "--provider",
    "providers",
    multiple=True,
    type=PROVIDER,
    help="Judge this provider; all without it.",
)
@click.option("--model", help="Only facts of this model, and those of all models.")
@click.option("--fact", "pattern", help="Only facts whose name matches, such as 'rate-*'.")
@click.option(
    "--tier", type=click.Choice(["free", "refused", "paid"]), help="Only facts of a tier."
)
@click.option(
    "--target",
    default="sim",
    show_default=True,
    callback=target_url,
    help="sim (in process), socket (a server of its own), server (the one at UPSIM_URL, else on "
    "port 4747), a URL, or live.",
)
@click.option("--dialect", default="", help="Dialect of the simulator, such as live.")
@click.option("--api-key", help="Key for a URL or live; else the variable <PROVIDER>_API_KEY.")
@click.option(
    "--admin-token",
    default="",
    envvar=ADMIN_TOKEN,
    help="Token of a simulator that is not on loopback.",
)
@click.option("--cap", type=Amount(), help="The most that may be spent, in the provider's unit.")
@click.option("--as-live", is_flag=True, help="Treat a simulator as a stranger: no admin API.")
@click.option(
    "--media",
    callback=base_url,
    help="Where synthetic clips are served, for targets that are no simulator.",
)
@click.option("--scenario", type=SCENARIO, help="Scenario of every sandbox whose fact names none.")
@click.option(
    "--patience",
    type=DurationType(),
    default="900s",
    show_default=True,
    help="Real time that a job may take at a target that is no simulator.",
)
@click.option(
    "--refund-patience",
    type=DurationType(),
    default="60s",
    show_default=True,
    help="Real time to wait for a refund that is documented to come within hours.",
)
@click.option("--plan", "only_plan", is_flag=True, help="Show what would be done and cost; stop.")
@_file("--junit", "Write JUnit XML.")
@_file("--json", "Write all verdicts as JSON.")
@_file("--html", "Write one page that needs nothing else.")
@_file("--accept", "Differences that are known, in YAML: with these alone the run ends well.")
@click.option(
    "--accept-new",
    metavar="REASON",
    help="Add every other difference to the file of --accept, with this reason and today's date.",
)
@_file(
    "--uses",
    "What we rely on, in YAML: a finding that touches nothing of it does not fail.",
    written=False,
)
@click.option(
    "--compare",
    type=click.Path(dir_okay=False, path_type=Path),  # --json may replace it after it was read
    help="What --json wrote of an earlier run: say what has changed since.",
)
def command(*, patience: Decimal, refund_patience: Decimal, **asked: object) -> None:
    """Judge a target by every documented fact, and say how many hold.

    Exits with 0 when all that ran holds, 1 when something is broken, 2 when nothing was started.
    """
    found = next(iter(entry_points(group=GROUP, name="verify")), None)
    if found is None:
        raise click.UsageError("the contracts are not installed here")
    run = found.load()
    if asked["scenario"] is not None and asked["target"] in LOCAL:
        _check_scenario(str(asked["scenario"]))
    try:
        waits = {"patience": float(patience), "refund_patience": float(refund_patience)}
        code = run({**asked, **waits}, LOCAL, click.echo)
    except sys.modules[run.__module__].UsageError as error:
        raise click.UsageError(str(error)) from error
    sys.exit(code)


def _check_scenario(name: str) -> None:
    """Raise UsageError with all mistakes of a scenario, in which no fact could be judged."""
    library = Library(folders=folders)
    try:
        mistakes = library.judged(name, discover())
    except UnknownScenarioError as error:
        raise click.UsageError(str(error)) from error
    if mistakes:
        raise click.UsageError("\n".join(map(str, mistakes)))


@contextmanager
def _in_process() -> Iterator[tuple[str, httpx.BaseTransport, str]]:
    from upsim.app import Simulator

    with Simulator(clock="manual") as simulator:
        token = simulator.app.registry.settings.admin_token
        yield simulator.base_url("").rstrip("/"), simulator.transport(), token or ""


@contextmanager
def _own_server() -> Iterator[tuple[str, httpx.BaseTransport, str]]:
    """A server in a process of its own, on a free port; it ends with the block."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.json"
        serve = [sys.executable, "-m", "upsim", "serve", "--port", "0", "--clock", "manual"]
        arguments = [*serve, "--ready-file", str(ready), "--quiet"]
        with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - ourselves
            try:
                said = _said(ready, process)
                with SyncTransport() as transport:
                    yield said["base_url"].rstrip("/"), transport, said["admin_token"]
            finally:
                process.terminate()


def _said(ready: Path, process: subprocess.Popen[bytes]) -> Mapping[str, str]:
    """What the ready file says, once it is there."""
    waiting = threading.Event()
    for _ in range(START_SECONDS * 50):
        if process.poll() is not None:
            break
        if ready.exists():
            found: dict[str, str] = json.loads(ready.read_text("utf-8"))
            return found
        waiting.wait(0.02)
    raise click.ClickException("the server for --target socket did not start")


LOCAL = {"sim": _in_process, "socket": _own_server}
"""The targets that are made here: each gives its address, a transport and the admin token."""
