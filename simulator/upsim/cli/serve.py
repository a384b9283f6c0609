"""`upsim serve`: the simulator as a server."""

from __future__ import annotations

import asyncio
import errno
import gc
import ipaddress
import json
import logging
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import uvicorn

from upsim.app import App, create_app
from upsim.cli.console import Console
from upsim.core.baseline import BaselineError
from upsim.engine.clock import ClockError
from upsim.engine.seeds import fresh_seed, fresh_token
from upsim.engine.settings import Settings
from upsim.scenario.loader import ScenarioError, UnknownScenarioError
from upsim.web.landing import example

DEFAULT_PORT = 4747
GREET_SECONDS = 0.02
"""The greeting reads every baseline; an answer that is asked for at once comes first."""
FINDING, USAGE = 1, 2


class Server(uvicorn.Server):
    """A uvicorn server that says when it answers."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        ready: Path | None,
        said: dict[str, object],
        greet: Callable[[], None],
    ) -> None:
        """Once the server answers, `said` is written to the file `ready`; then comes `greet`."""
        super().__init__(config)
        self._ready = ready
        self._said = said
        self._greet = greet

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then write the ready file."""
        await super().startup(sockets)
        _spare_the_collector()
        if self._ready is not None:
            part = self._ready.with_name(self._ready.name + ".part")
            part.write_text(json.dumps(self._said), encoding="utf-8")
            part.replace(self._ready)
        asyncio.get_running_loop().call_later(GREET_SECONDS, self._greet)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: what is still held or open is cut after a moment, without complaints about it."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port; 0 takes a free one.",
)
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Written once it serves: JSON.",
)
@click.option("--scenario", help="Scenario of the sandbox `default`, by name or path.")
@click.option("--clock", default="real", show_default=True, help="real, scaled:<n>, manual, auto.")
@click.option(
    "--pace",
    default=30,
    show_default=True,
    type=click.IntRange(min=1),
    help="Jobs run so many times as fast (clock real).",
)
@click.option("--seed", type=int, help="Same seed, same ids. By default drawn and printed.")
@click.option("--admin-token", help="Token of the admin API. By default drawn and printed.")
@click.option("--public-url", help="Scheme and host in absolute URLs, when behind a proxy.")
@click.option("--fetch", is_flag=True, help="Really fetch public video URLs.")
@click.option("--strict-keys", is_flag=True, help="Refuse keys that were not issued.")
@click.option("--dialect", help="Dialect of every provider that has it.")
@click.option(
    "--render",
    type=click.Choice(["synthetic", "resample"]),
    default="synthetic",
    show_default=True,
    help="Outputs: drawn in milliseconds, or the input's own frames.",
)
@click.option(
    "--journal-max",
    default=1000,
    show_default=True,
    type=click.IntRange(min=0),
    help="Exchanges kept per sandbox.",
)
@click.option(
    "--jobs-max",
    default=100_000,
    show_default=True,
    type=click.IntRange(min=1),
    help="Finished jobs kept.",
)
@click.option(
    "--webhook-allow",
    multiple=True,
    metavar="HOST",
    help="Host that webhooks may be sent to, beside this machine; can be repeated.",
)
@click.option(
    "--webhook-timeout",
    type=click.FloatRange(min=0.01),
    metavar="SECONDS",
    help="How long a receiver may take to answer. By default as long as the provider waits.",
)
@click.option(
    "--webhook-timestamp",
    type=click.Choice(["wall", "virtual"]),
    default="wall",
    show_default=True,
    help="Clock of the timestamps that webhooks carry.",
)
@click.option("--tls-cert", type=click.Path(exists=True), help="Certificate file, to serve https.")
@click.option("--tls-key", type=click.Path(exists=True), help="Key file of the certificate.")
@click.option("--quiet", is_flag=True, help="Do not print a line per answer.")
def command(  # noqa: PLR0913 - one argument for each option
    *,
    host: str,
    port: int,
    ready_file: Path | None,
    scenario: str | None,
    clock: str,
    pace: int,
    seed: int | None,
    admin_token: str | None,
    public_url: str | None,
    fetch: bool,
    strict_keys: bool,
    dialect: str | None,
    render: str,
    journal_max: int,
    jobs_max: int,
    webhook_allow: tuple[str, ...],
    webhook_timeout: float | None,
    webhook_timestamp: str,
    tls_cert: str | None,
    tls_key: str | None,
    quiet: bool,
) -> None:
    """Run the simulator as a server, until Ctrl-C."""
    if ready_file is not None:
        _remove_stale(ready_file)
    listening = _listen(host, port)
    port = listening.getsockname()[1]
    scheme = "https" if tls_cert else "http"
    shown = f"[{host}]" if ":" in host else host
    base = public_url or f"{scheme}://{shown}:{port}"
    settings = Settings(
        hosts=tuple(f"{name}:{port}" for name in (shown, "127.0.0.1", "localhost", "[::1]")),
        loopback=_is_loopback(host),
        scenario=scenario,
        clock=clock,
        pace=pace,
        seed=fresh_seed() if seed is None else seed,
        admin_token=admin_token or fresh_token(),
        public_url=public_url.rstrip("/") if public_url else None,
        fetch=fetch,
        strict_keys=strict_keys,
        dialect=dialect,
        render=render,
        journal_max=journal_max,
        jobs_max=jobs_max,
        webhook_allow=webhook_allow,
        webhook_seconds=webhook_timeout,
        webhook_timestamp=webhook_timestamp,
    )
    app = _app(settings)
    console = Console()
    if not quiet:
        app.dispatch.observers.append(console)
        app.deliverer.observers.append(console.webhook)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        date_header=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=1,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
    )
    said = {"base_url": base, "admin_token": settings.admin_token, "pid": os.getpid()}
    greet = partial(_greet, app, settings, base)
    try:
        Server(config, ready=ready_file, said=said, greet=greet).run(sockets=[listening])
    except KeyboardInterrupt:
        console.flush()  # Ctrl-C is how a server is ended: nothing went wrong
    except OSError as error:
        click.echo(f"upsim: {error}", err=True)
        sys.exit(FINDING)


def _spare_the_collector() -> None:
    """Collect garbage less often, and never among what was there at the start.

    Kept jobs are many small objects without cycles; walking them all again and again took a sixth
    of the time of a submit.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _app(settings: Settings) -> App:
    try:
        return create_app(settings)
    except ScenarioError as error:
        click.echo(str(error), err=True)
        sys.exit(FINDING)
    except (UnknownScenarioError, ClockError, BaselineError) as error:
        click.echo(f"upsim: {error}", err=True)
        sys.exit(USAGE)


def _remove_stale(ready: Path) -> None:
    """No ready file of an earlier server may be taken for this one's."""
    if not ready.parent.is_dir():
        raise click.BadParameter(f"there is no folder {ready.parent}", param_hint="--ready-file")
    ready.unlink(missing_ok=True)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        hint = (
            " (another server is using it; try --port 0)" if error.errno == errno.EADDRINUSE else ""
        )
        click.echo(f"upsim: cannot listen on {host}:{port}: {error.strerror}{hint}", err=True)
        sys.exit(FINDING)
    return listening


def _greet(app: App, settings: Settings, base: str) -> None:
    clock = app.registry.default.clock
    pace = f", jobs {clock.pace} times as fast" if clock.mode == "real" else ""
    keys = "Only issued keys work" if settings.strict_keys else "Any key works"
    lines = [
        f"upsim answers at {base}  (clock {clock.label}{pace}; seed {settings.seed})",
        f"admin API {base}/__sim  (token {settings.admin_token})",
        f"Nothing survives a restart. {keys}; an example for each provider:",
    ]
    for provider in app.registry.providers:
        call = example(app.registry, provider, base)
        lines += ["", f"  # {provider}: {base}/{provider}"]
        lines += [f"  {line}" for line in call.splitlines()]
    click.echo("\n".join(lines) + "\n")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
