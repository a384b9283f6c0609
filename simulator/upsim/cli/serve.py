"""`upsim serve`: the simulator as a server."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import logging
import os
import re
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click
import uvicorn

from upsim.app import App
from upsim.cli.connections import CuttableProtocol
from upsim.cli.console import Console, say
from upsim.cli.parameters import SCENARIO
from upsim.cli.watch import Watch
from upsim.core.baseline import BaselineError
from upsim.engine.clock import ClockError
from upsim.engine.seeds import fresh_seed, fresh_token
from upsim.engine.settings import Settings
from upsim.engine.sources import is_loopback
from upsim.scenario.loader import ScenarioError, UnknownScenarioError
from upsim.web.landing import example

DEFAULT_PORT = 4747
GREET_SECONDS = 0.02
"""The greeting reads every baseline; an answer that is asked for at once comes first."""
FINDING, USAGE = 1, 2


ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - to be told apart, not bound to
"""Addresses that stand for all of a machine's, and where that machine itself reaches them."""
TOKEN = re.compile(r"[!-~]{1,512}")


@dataclass(frozen=True, slots=True)
class Hooks:
    """What is done once the server answers, when it is to stop, and after its last answer."""

    started: Callable[[], None]
    greet: Callable[[], None]
    stopping: Callable[[], None]
    stopped: Callable[[], None]


class Server(uvicorn.Server):
    """A uvicorn server that says when it answers, and when it has ended."""

    def __init__(self, config: uvicorn.Config, hooks: Hooks) -> None:
        """Once the server answers, `started` is called, and a moment later `greet`."""
        super().__init__(config)
        self._hooks = hooks

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let a terminal that is closed end the server as SIGTERM does, but for `nohup`."""
        hangup = getattr(signal, "SIGHUP", None)  # there is none on Windows
        if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN:
            with super().capture_signals():
                yield
            return
        before = signal.signal(hangup, self.handle_exit)
        with super().capture_signals():
            try:
                yield
            finally:
                signal.signal(hangup, before)  # what was captured is raised again after this

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then tell so."""
        await super().startup(sockets)
        _spare_the_collector()
        self._hooks.started()
        asyncio.get_running_loop().call_later(GREET_SECONDS, self._hooks.greet)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: what is still held or open is cut after a moment, without complaints about it."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._hooks.stopping()
        await super().shutdown(sockets)
        self._hooks.stopped()


def _public_url(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """A URL that others can be put behind: http or https, a host, nothing after the path."""
    if value is None:
        return None
    try:
        url = urlsplit(value)
        usable = url.scheme in ("http", "https") and url.hostname and (url.port or 1)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a URL") from None
    if not usable or url.query or url.fragment or "@" in url.netloc or not TOKEN.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not http(s)://host[:port][/path]")
    return value.rstrip("/")


def _token(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """A token that can be sent in a header."""
    if value is None or TOKEN.fullmatch(value):
        return value
    raise click.BadParameter("a token is 1 to 512 visible ASCII characters without spaces")


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
@click.option(
    "--scenario", type=SCENARIO, help="Scenario of the sandbox `default`, by name or path."
)
@click.option("--clock", default="real", show_default=True, help="real, scaled:<n>, manual, auto.")
@click.option(
    "--pace",
    default=30,
    show_default=True,
    type=click.IntRange(min=1),
    help="Jobs run so many times as fast (clock real).",
)
@click.option("--seed", type=int, help="Same seed, same ids. By default drawn and printed.")
@click.option(
    "--admin-token",
    callback=_token,
    help="Token of the admin API. By default drawn and printed.",
)
@click.option(
    "--public-url",
    callback=_public_url,
    help="Scheme and host in absolute URLs, when behind a proxy.",
)
@click.option("--fetch", is_flag=True, help="Really fetch public video URLs.")
@click.option(
    "--watch",
    is_flag=True,
    help="Read scenario files again when they change, for jobs accepted from then on.",
)
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
    "--commands-max",
    default=10_000,
    show_default=True,
    type=click.IntRange(min=0),
    help="Entries of the command log kept per sandbox, for export.",
)
@click.option(
    "--commands-bytes",
    default=16 * 1024 * 1024,
    show_default=True,
    type=click.IntRange(min=0),
    help="Bytes that such a log may hold.",
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
@click.option(
    "--tls-cert",
    type=click.Path(exists=True, dir_okay=False),
    help="Certificate file, to serve https.",
)
@click.option(
    "--tls-key", type=click.Path(exists=True, dir_okay=False), help="Key file of the certificate."
)
@click.option("--quiet", is_flag=True, help="Print one line at the start and no more.")
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
    watch: bool,
    strict_keys: bool,
    dialect: str | None,
    render: str,
    journal_max: int,
    jobs_max: int,
    commands_max: int,
    commands_bytes: int,
    webhook_allow: tuple[str, ...],
    webhook_timeout: float | None,
    webhook_timestamp: str,
    tls_cert: str | None,
    tls_key: str | None,
    quiet: bool,
) -> None:
    """Run the simulator as a server, until Ctrl-C."""
    if ready_file is not None:
        remove_stale(ready_file)
    _check_certificate(tls_cert, tls_key)
    listening = listen(host, port)
    port = listening.getsockname()[1]
    scheme = "https" if tls_cert else "http"
    shown = f"[{host}]" if ":" in host else host
    near = ANYWHERE.get(host, shown)
    far = own_address() if host in ANYWHERE else shown
    base = public_url or f"{scheme}://{near}:{port}"
    names = dict.fromkeys((shown, near, far, "127.0.0.1", "localhost", "[::1]"))
    settings = Settings(
        hosts=tuple(f"{name}:{port}" for name in names),
        loopback=is_loopback(host),
        scenario=scenario,
        clock=clock,
        pace=pace,
        seed=fresh_seed() if seed is None else seed,
        admin_token=admin_token or fresh_token(),
        public_url=public_url,
        fetch=fetch,
        strict_keys=strict_keys,
        dialect=dialect,
        render=render,
        journal_max=journal_max,
        jobs_max=jobs_max,
        commands_max=commands_max,
        commands_bytes=commands_bytes,
        webhook_allow=webhook_allow,
        webhook_seconds=webhook_timeout,
        webhook_timestamp=webhook_timestamp,
    )
    app = _app(settings)
    console = Console()
    if not quiet:
        app.dispatch.observers.append(console)
        app.strays.observers.append(console.stray)
        app.deliverer.observers.append(console.webhook)
    config = uvicorn.Config(
        app,
        http=CuttableProtocol,
        ws="none",
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
    greeting = Greeting(app, base=base, far=f"{scheme}://{far}:{port}")

    def started() -> None:
        if watch:
            Watch(app.registry, quiet=quiet).begin()
        if ready_file is not None:
            write_whole(ready_file, json.dumps(said))

    def stopped() -> None:
        console.flush()
        if not quiet:
            say("upsim stopped\n")

    greet = greeting.first if quiet else greeting.whole
    hooks = Hooks(started, greet, app.streams.close, stopped)
    try:
        Server(config, hooks).run(sockets=[listening])
    except KeyboardInterrupt:
        pass  # Ctrl-C is how a server is ended: nothing went wrong
    except OSError as error:
        click.echo(f"upsim: {error}", err=True)
        sys.exit(FINDING)


def _spare_the_collector() -> None:
    """Look for garbage among what is new, seldom a second time, and never among the first objects.

    Kept jobs are many small objects without cycles; walking them all again and again took a sixth
    of the time of a submit. The new ones are walked while they are few and still in the cache.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000, 2_000, 100)


def _app(settings: Settings) -> App:
    try:
        return App(settings)
    except ScenarioError as error:
        click.echo(str(error), err=True)
        sys.exit(FINDING)
    except (UnknownScenarioError, ClockError, BaselineError) as error:
        click.echo(f"upsim: {error}", err=True)
        sys.exit(USAGE)


def remove_stale(ready: Path) -> None:
    """No ready file of an earlier server may be taken for this one's."""
    if not ready.parent.is_dir():
        raise click.BadParameter(f"there is no folder {ready.parent}", param_hint="--ready-file")
    ready.unlink(missing_ok=True)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; where it cannot, say why and end."""
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


def own_address() -> str:
    """The address of this machine that others reach it by, or its name where it has none.

    A datagram socket finds its own address without sending anything.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


def _check_certificate(cert: str | None, key: str | None) -> None:
    """End with a message that names the files when they cannot be served with."""
    if cert is None:
        if key is not None:
            raise click.UsageError("--tls-key needs --tls-cert")
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        files = cert if key is None else f"{cert} with the key {key}"
        hint = "" if key else " (without --tls-key the file must hold the key, too)"
        click.echo(f"upsim: cannot use the certificate {files}: {error}{hint}", err=True)
        sys.exit(FINDING)


def write_whole(file: Path, text: str) -> None:
    """Write a file of which nobody ever reads a part, and that only its owner may read."""
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    private = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(private, "w", encoding="utf-8") as opened:
        opened.write(text)
    part.replace(file)


@dataclass(frozen=True, slots=True)
class Greeting:
    """What is printed once the server answers at `base`, and for other machines at `far`."""

    app: App
    base: str
    far: str

    def first(self) -> None:
        """Print the one line that is printed in any case."""
        say(f"{self._first_line()}\n")

    def whole(self) -> None:
        """Print the address, the admin token, and an example call of each provider."""
        settings, registry = self.app.registry.settings, self.app.registry
        any_key = "Only issued keys work, such as those below" if settings.strict_keys else ""
        keys = any_key or "Any key works"
        lines = [
            self._first_line(),
            f"admin API {self.base}/__sim  (token {settings.admin_token})",
            *self._notes(),
            f"Nothing survives a restart. {keys}; an example for each provider:",
        ]
        for provider in registry.providers:
            key = None
            if settings.strict_keys:
                key = registry.issue_key(registry.default, provider, owner="main")
            call = example(registry, provider, self.base, key=key)
            lines += ["", f"  # {provider}: {self.base}/{provider}"]
            lines += [f"  {line}" for line in call.splitlines()]
        say("\n".join(lines) + "\n\n")

    def _first_line(self) -> str:
        settings, clock = self.app.registry.settings, self.app.registry.default.clock
        parts = [f"clock {clock.label}"]
        parts[0] += f", jobs {clock.pace} times as fast" if clock.mode == "real" else ""
        parts += [f"scenario {settings.scenario}"] if settings.scenario else []
        parts += [f"dialect {settings.dialect}"] if settings.dialect else []
        parts += [f"seed {settings.seed}"]
        return f"upsim answers at {self.base}  ({'; '.join(parts)})"

    def _notes(self) -> list[str]:
        if self.app.registry.settings.loopback:
            return []
        where = "" if self.far == self.base else f" Other machines reach it at {self.far}."
        need = "Not bound to loopback only: the admin API and the page at / need the token."
        return [need + where]
