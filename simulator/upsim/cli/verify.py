"""`upsim verify`: check a simulator or a live API against its provider's documents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeVar

import click
import httpx

from upsim.cli.environment_variables import ADMIN_TOKEN, PREFIX
from upsim.cli.file_arguments import FileName
from upsim.cli.option_types import PROVIDER, SCENARIO, Amount, DurationType, base_url, target_url
from upsim.client.http.connections import SyncTransport
from upsim.providers import discover, folders
from upsim.scenario.loader import Library, UnknownScenarioError

GROUP = "upsim.commands"
"""Entry-point group of the contract suite; the simulator never imports the suite by name."""
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
    help="Provider to verify. Default: all.",
)
@click.option("--model", help="Check only facts of this model and facts without a model.")
@click.option(
    "--fact", "pattern", help="Check only facts whose name matches, for example 'rate-*'."
)
@click.option(
    "--tier", type=click.Choice(["free", "refused", "paid"]), help="Check only facts of this tier."
)
@click.option(
    "--target",
    default="sim",
    show_default=True,
    callback=target_url,
    help="sim (in process), socket (a server of its own), server (the one at UPSIM_URL, else on "
    "port 4747), a URL, or live.",
)
@click.option("--dialect", default="", help="Dialect of the simulator, for example live.")
@click.option("--api-key", help="API key for a URL or live. Default: <PROVIDER>_API_KEY.")
@click.option(
    "--admin-token",
    default="",
    envvar=ADMIN_TOKEN,
    help="Admin token of a simulator that does not listen on loopback.",
)
@click.option("--cap", type=Amount(), help="Maximum to spend, in the provider's unit.")
@click.option(
    "--as-live", is_flag=True, help="Do not use the simulator's admin API; test it like a live API."
)
@click.option(
    "--media",
    callback=base_url,
    help="Base URL of synthetic clips, for targets that are not a simulator.",
)
@click.option(
    "--scenario", type=SCENARIO, help="Scenario of sandboxes whose fact does not name one."
)
@click.option(
    "--patience",
    type=DurationType(),
    default="900s",
    show_default=True,
    help="Real seconds to wait for a job on a target that is not a simulator.",
)
@click.option(
    "--refund-patience",
    type=DurationType(),
    default="60s",
    show_default=True,
    help="Real seconds to wait for a refund that is documented to take hours.",
)
@click.option(
    "--plan",
    "only_plan",
    is_flag=True,
    help="Print the requests and their cost without sending them.",
)
@_file("--junit", "Write JUnit XML.")
@_file("--json", "Write all verdicts as JSON.")
@_file("--html", "Write a self-contained HTML report.")
@_file("--accept", "YAML file of known differences, which do not fail the command.")
@click.option(
    "--accept-new",
    metavar="REASON",
    help="Add all new differences to the --accept file, with this reason and today's date.",
)
@_file(
    "--uses",
    "YAML file of what you use; findings about anything else do not fail the command.",
    written=False,
)
@click.option(
    "--compare",
    type=click.Path(dir_okay=False, path_type=Path),  # --json may replace it after it was read
    help="Report of an earlier run (--json); print what has changed since.",
)
def command(
    *, patience: Decimal, refund_patience: Decimal, providers: tuple[str, ...], **asked: object
) -> None:
    """Check a target against every documented fact and print how many facts pass.

    Exit codes: 0 all facts that ran pass, 1 a fact fails, 2 usage error (no fact was run).
    """
    found = next(iter(entry_points(group=GROUP, name="verify")), None)
    if found is None:
        raise click.UsageError("the contracts are not installed here")
    run = found.load()
    if asked["scenario"] is not None and asked["target"] in LOCAL:
        _check_scenario(str(asked["scenario"]), providers, asked["model"])
    try:
        waits = {"patience": float(patience), "refund_patience": float(refund_patience)}
        code = run({**asked, **waits, "providers": providers}, LOCAL, click.echo)
    except sys.modules[run.__module__].UsageError as error:
        raise click.UsageError(str(error)) from error
    sys.exit(code)


def _check_scenario(name: str, providers: Sequence[str], model: object) -> None:
    """Check a scenario. Raises UsageError with all mistakes, or if no chosen fact can use it."""
    library = Library(folders=folders)
    try:
        mistakes = library.judged(name, discover())
    except UnknownScenarioError as error:
        raise click.UsageError(str(error)) from error
    if mistakes:
        raise click.UsageError("\n".join(map(str, mistakes)))
    baseline = library.load(name).baseline
    belongs = f"--scenario {name} belongs to {baseline.provider}"
    if providers and baseline.provider not in providers:
        raise click.UsageError(f"{belongs}, not to {' or '.join(providers)}")
    if model is not None and model not in baseline.models:
        raise click.UsageError(f"{belongs}, which has no model {model!r}")


@contextmanager
def _in_process() -> Iterator[tuple[str, httpx.BaseTransport, str]]:
    from upsim.app import Simulator

    with Simulator(clock="manual") as simulator:
        token = simulator.app.registry.settings.admin_token
        yield simulator.base_url("").rstrip("/"), simulator.transport(), token or ""


@contextmanager
def _own_server() -> Iterator[tuple[str, httpx.BaseTransport, str]]:
    """Run a server in a process of its own, on a free port, until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.json"
        serve = [sys.executable, "-m", "upsim", "serve", "--port", "0", "--clock", "manual"]
        arguments = [*serve, "--ready-file", str(ready), "--quiet"]
        own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, env=own) as process:  # noqa: S603 - ourselves
            try:
                said = _said(ready, process)
                with SyncTransport() as transport:
                    yield said["base_url"].rstrip("/"), transport, said["admin_token"]
            finally:
                process.terminate()


def _said(ready: Path, process: subprocess.Popen[bytes]) -> Mapping[str, str]:
    """Return the contents of the ready file once it exists."""
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
"""Targets that are started here: each yields its base URL, a transport and the admin token."""
