"""`upsim serve`: the simulator as a server."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal
from functools import partial
from pathlib import Path
from socket import socket
from threading import Thread
from typing import Any, NoReturn

import click
import uvicorn
from click.core import ParameterSource
from starlette.types import ASGIApp

from upsim.app import App
from upsim.cli.banner import Banner
from upsim.cli.cuttable_connections import CuttableProtocol
from upsim.cli.environment_variables import ADMIN_TOKEN
from upsim.cli.file_arguments import FileName
from upsim.cli.file_watcher import Watch
from upsim.cli.listen_address import addresses, is_local_only, listen
from upsim.cli.option_types import SCENARIO, DurationType, Port, WholeNumber, host_names, token
from upsim.cli.option_types import base_url as base_url_option
from upsim.cli.ready_file import ReadyFile, remove_stale
from upsim.cli.request_log import RequestLog, say
from upsim.cli.tls_certificate import check_certificate
from upsim.cli.uvicorn_server import ServerHooks, UvicornServer
from upsim.core.baseline import BaselineError
from upsim.engine.clock import ClockError
from upsim.engine.exceptions import StoreAddressError, StoreError
from upsim.engine.seeds import fresh_seed, fresh_token
from upsim.engine.settings import ServerSettings
from upsim.engine.store import MemoryStore, Store
from upsim.media.temporary_folders import remove_abandoned
from upsim.scenario.loader import ScenarioError, UnknownScenarioError
from upsim.store.address import opened, sqlite_path

DEFAULT_PORT = 4747
FINDING = 1
_DEFAULT = ParameterSource.DEFAULT


def _checked_store(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """Check the address of a store."""
    try:
        sqlite_path(value)
    except StoreAddressError as error:
        raise click.BadParameter(str(error)) from error
    return value


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    type=Port(),
    help="Port; 0 picks a free port.",
)
@click.option(
    "--ready-file",
    type=FileName(written=True),
    is_eager=True,
    callback=remove_stale,
    help="Write a JSON file with base_url, pid and token once the server is ready.",
)
@click.option(
    "--scenario", type=SCENARIO, help="Scenario of the sandbox `default`: a name or a path."
)
@click.option(
    "--clock",
    default="real",
    show_default=True,
    help="Clock of the sandbox `default`: real, scaled:<n>, manual or auto.",
)
@click.option(
    "--pace",
    default=30,
    show_default=True,
    type=WholeNumber(min=1),
    help="Speed up jobs by this factor; 1 = documented times. Real clock only.",
)
@click.option(
    "--seed",
    type=WholeNumber(),
    help="Random seed; the same seed gives the same ids. Default: random, printed at start.",
)
@click.option(
    "--admin-token",
    envvar=ADMIN_TOKEN,
    callback=token,
    help="Token of the admin API. Default: random, printed at start.",
)
@click.option(
    "--public-url",
    callback=base_url_option,
    help="URL prefix for links in responses, when behind a proxy.",
)
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="HOST",
    envvar=["UPSIM_SERVE_ALLOW_HOST", "UPSIM_ALLOW_HOST"],
    callback=host_names,
    help="Host by which it is also called, as through a tunnel; can be repeated. While it listens "
    "on loopback, requests for other hosts are refused.",
)
@click.option("--fetch", is_flag=True, help="Download public video URLs to measure them.")
@click.option(
    "--watch",
    is_flag=True,
    help="Reload scenario files when they change; accepted jobs keep the old rules.",
)
@click.option("--strict-keys", is_flag=True, help="Accept only issued keys (default: any key).")
@click.option("--dialect", help="Dialect of all providers that have it, for example live.")
@click.option(
    "--render",
    type=click.Choice(["synthetic", "resample"]),
    default="synthetic",
    show_default=True,
    help="Output frames: generated (fast), or resampled from the input.",
)
@click.option(
    "--journal-max",
    default=1000,
    show_default=True,
    type=WholeNumber(min=0),
    help="Requests kept per sandbox.",
)
@click.option(
    "--jobs-max",
    default=100_000,
    show_default=True,
    type=WholeNumber(min=1),
    help="Finished jobs kept per sandbox.",
)
@click.option(
    "--commands-max",
    default=10_000,
    show_default=True,
    type=WholeNumber(min=0),
    help="Command log entries kept per sandbox, for exports.",
)
@click.option(
    "--commands-bytes",
    default=32 * 1024 * 1024,
    show_default=True,
    type=WholeNumber(min=0),
    help="Maximum size of a sandbox's command log in bytes.",
)
@click.option(
    "--webhook-allow",
    multiple=True,
    metavar="HOST",
    callback=host_names,
    help="Host that may receive webhooks, besides this machine; can be repeated.",
)
@click.option(
    "--webhook-timeout",
    type=DurationType(minimum="0.01"),
    help="Seconds to wait for a webhook receiver. Default: the provider's own limit.",
)
@click.option(
    "--webhook-timestamp",
    type=click.Choice(["wall", "virtual"]),
    default="wall",
    show_default=True,
    help="Clock for webhook timestamps.",
)
@click.option(
    "--tls-cert",
    type=click.Path(exists=True, dir_okay=False),
    help="Certificate file; makes the server use https.",
)
@click.option(
    "--tls-key", type=click.Path(exists=True, dir_okay=False), help="Key file of the certificate."
)
@click.option(
    "--store",
    "store_address",
    default="memory:",
    show_default=True,
    metavar="ADDRESS",
    envvar=["UPSIM_SERVE_STORE", "UPSIM_STORE"],
    callback=_checked_store,
    help="Where sandboxes are kept: memory:, or sqlite:PATH for a file that survives a restart.",
)
@click.option(
    "--fsync",
    is_flag=True,
    help="With sqlite: also survive a power loss; each answer waits for it.",
)
@click.option("--quiet", is_flag=True, help="Print only the first line.")
def command(  # noqa: PLR0913 - one argument for each option that is no setting
    *,
    host: str,
    port: int,
    ready_file: Path | None,
    seed: int | None,
    admin_token: str | None,
    public_url: str | None,
    watch: bool,
    webhook_timeout: Decimal | None,
    tls_cert: str | None,
    tls_key: str | None,
    store_address: str,
    fsync: bool,
    quiet: bool,
    **chosen: Any,  # noqa: ANN401 - settings of the same names
) -> None:
    """Run the simulator as a server, until Ctrl-C."""
    check_certificate(tls_cert, tls_key)
    if fsync and sqlite_path(store_address) is None:
        raise click.UsageError("--fsync needs a store in a file; add --store sqlite:PATH")
    listening = listen(host, port)
    reached = addresses(host, listening.getsockname()[1], scheme="https" if tls_cert else "http")
    settings = ServerSettings(
        hosts=reached.names,
        loopback=is_local_only(listening),
        seed=fresh_seed() if seed is None else seed,
        admin_token=admin_token or fresh_token(),
        public_url=public_url,
        webhook_seconds=None if webhook_timeout is None else float(webhook_timeout),
        **chosen,
    )
    with ExitStack() as undo:
        undo.enter_context(listening)
        app = _app(settings, store_address, fsync=fsync)
        undo.pop_all()
    base = public_url or reached.base
    console = None if quiet else _console(app)
    door = app.door(base, *((console.stray,) if console else ())) if settings.loopback else app
    config = _config(door, _protocol(app.registry.store), tls_cert, tls_key)
    ready = ReadyFile(ready_file)
    said = {"base_url": base, "admin_token": settings.admin_token, "pid": os.getpid()}

    def started() -> None:
        if watch:
            Watch(app.registry, quiet=quiet).begin()
        Thread(target=remove_abandoned, daemon=True).start()
        ready.write(server, said)

    def stopped() -> None:
        ready.remove()
        if console is not None:
            console.flush()
            say("upsim stopped\n")

    greeting = Banner(app, base=base, far=reached.far, given=_given("seed", "clock", "pace"))
    greet = greeting.print_line if quiet else greeting.print_all
    server = UvicornServer(config, ServerHooks(started, greet, app.streams.close, stopped))
    _run(server, listening)


def _given(*names: str) -> dict[str, object]:
    """Return the values of options that the user chose on the command line or by a variable."""
    context = click.get_current_context()
    chosen = [one for one in names if context.get_parameter_source(one) is not _DEFAULT]
    return {name: context.params[name] for name in chosen}


def _protocol(store: Store) -> Callable[..., CuttableProtocol]:
    """Return the protocol of connections; with a durable store, their output waits for it."""
    if isinstance(store, MemoryStore):
        return CuttableProtocol
    from upsim.cli.output_after_store import HeldProtocol
    from upsim.store.sqlite_store import SqliteStore

    return (
        partial(HeldProtocol, writes=store.writes)
        if isinstance(store, SqliteStore)
        else CuttableProtocol
    )


def _config(
    served: ASGIApp,
    protocol: Callable[..., CuttableProtocol],
    tls_cert: str | None,
    tls_key: str | None,
) -> uvicorn.Config:
    """Return uvicorn's settings: no log lines or headers of its own."""
    return uvicorn.Config(
        served,
        http=protocol,  # type: ignore[arg-type]  # uvicorn only calls it
        ws="none",
        log_level="warning",
        use_colors=False,
        access_log=False,
        date_header=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=1,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
    )


def _console(app: App) -> RequestLog:
    """Print a line for each response and each webhook delivery."""
    console = RequestLog()
    app.dispatch.observers.append(console)
    app.dispatch.media.observers.append(console)
    app.dispatch.media.reporters.append(console.stray)
    app.missing_prefix.observers.append(console.stray)
    app.wrong_token.observers.append(console.stray)
    app.deliverer.observers.append(console.webhook)
    return console


def _run(server: UvicornServer, listening: socket) -> NoReturn:
    """Serve until the end, and exit with the server's exit code."""
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass  # Ctrl-C is the normal way to stop a server
    except OSError as error:
        click.echo(f"upsim: {error}", err=True)
        sys.exit(FINDING)
    sys.exit(server.code)


def _app(settings: ServerSettings, address: str, *, fsync: bool) -> App:
    try:
        with ExitStack() as undo:
            store = opened(address, seed=settings.seed, fsync=fsync)
            undo.callback(store.abandon)
            app = App(settings, store=store)
            store.flush()  # a file that cannot be written is refused before the server starts
            undo.pop_all()
        return app  # noqa: TRY300 - the store is open only then
    except StoreError as error:
        raise click.ClickException(str(error)) from error
    except ScenarioError as error:
        click.echo(str(error), err=True)
        sys.exit(FINDING)
    except (UnknownScenarioError, ClockError, BaselineError) as error:
        raise click.UsageError(str(error)) from error
