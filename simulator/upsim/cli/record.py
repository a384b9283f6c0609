"""`upsim record`: a proxy that writes down what passes between a client and a provider."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib.metadata import entry_points
from ipaddress import ip_address
from pathlib import Path
from socket import socket

import click
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from upsim.cli.connections import CuttableProtocol
from upsim.cli.file_arguments import FileName
from upsim.cli.listen_address import is_local_only, listen
from upsim.cli.parameters import PROVIDER, Amount, Port, base_url
from upsim.cli.ready_file import ReadyFile, remove_stale
from upsim.cli.request_log import say
from upsim.cli.server import ServerHooks, UvicornServer
from upsim.cli.verify import GROUP

FINDING = 1
IPV4 = 4


class Recorder:
    """A recording as our own protocol serves it, with its bounds; none is answered at once."""

    def __init__(self, application: ASGIApp) -> None:
        """Serve this application."""
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._application(scope, receive, send)

    def fast_path(self, _scope: Scope, _body: bytes) -> ASGIApp:
        """What answers a request that came whole."""
        return self._application


@click.command("record")
@click.option(
    "--upstream",
    required=True,
    callback=base_url,
    help="Where the provider is: the only host spoken to.",
)
@click.option("--provider", type=PROVIDER, help="Whose API it is, where the address does not tell.")
@click.option("--dialect", help="Dialect of the answers; by default that of the address.")
@click.option(
    "--to", required=True, type=FileName(written=True), help="The cassette, a new or empty file."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=4748,
    show_default=True,
    type=Port(),
    help="Port; 0 takes a free one.",
)
@click.option(
    "--ready-file",
    type=FileName(written=True),
    is_eager=True,
    callback=remove_stale,
    help="Write JSON with base_url and pid there once it answers.",
)
@click.option("--cap", type=Amount(), help="The most that may be spent, in the provider's unit.")
@click.option("--api-key", help="Send this key upstream, whatever callers send.")
@click.option(
    "--clip",
    "clips",
    multiple=True,
    metavar="GLOB=CLIP",
    help="What the videos at some addresses are: '*/a.mp4=854x480 30fps 4.5s'.",
)
@click.option(
    "--balances/--no-balances",
    default=True,
    show_default=True,
    help="Read the balance before and after each paid call.",
)
@click.option(
    "--uses",
    type=FileName(written=True),
    help="At the end, add what was called and answered to this file, for verify and drift --uses.",
)
@click.option(
    "--webhooks",
    metavar="URL",
    callback=base_url,
    help="Where the provider reaches this recorder, such as a tunnel: takes webhooks there, passes"
    " them on. At a simulator on this machine they come without it.",
)
@click.option(
    "--webhook-secret", help="Check the signatures of webhooks with this secret of the provider."
)
def command(*, host: str, port: int, ready_file: Path | None, **asked: object) -> None:
    """Forward calls to a provider, check each answer, and write all to a cassette.

    Clients are given the address of the recording in place of the provider's. Ctrl-C ends it.
    Exits with 0 when every answer kept to the contract, 1 when one did not, 2 when nothing began.
    """
    found = next(iter(entry_points(group=GROUP, name="record")), None)
    if found is None:
        raise click.UsageError("the contracts are not installed here")
    begin = found.load()
    listening = listen(host, port)
    port = listening.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    near = {f"{name}:{port}" for name in (shown, "127.0.0.1", "localhost", "[::1]")}
    base = f"http://{shown}:{port}"
    names = frozenset(near) if is_local_only(listening) else None
    asked["address"] = _reached(listening)
    try:
        with listening, begin(asked, names, lambda line: say(f"{line}\n")) as session:
            config = uvicorn.Config(
                Recorder(session.application),
                http=CuttableProtocol,
                ws="none",
                log_level="warning",
                use_colors=False,
                access_log=False,
                date_header=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=1,
            )
            provider = session.upstream.provider
            ready = ReadyFile(ready_file)
            said = {"base_url": base, "provider": provider, "pid": os.getpid()}

            def stopped() -> None:
                ready.remove()
                say(f"{session.summary}\n")

            hooks = ServerHooks(
                lambda: ready.write(server, said),
                lambda: say(f"recording {session.upstream.base} at {base}/{provider}\n"),
                lambda: None,
                stopped,
            )
            server = UvicornServer(config, hooks)
            with suppress(KeyboardInterrupt):  # Ctrl-C is how a recording is ended
                server.run(sockets=[listening])
            app = session.application
            code = server.code or (FINDING if app.logbook.findings or app.logbook.lost else 0)
    except sys.modules[begin.__module__].UsageError as error:
        raise click.UsageError(str(error)) from error
    sys.exit(code)


def _reached(listening: socket) -> str:
    """The base URL by which this machine reaches a socket, also one that listens everywhere."""
    host, port = listening.getsockname()[:2]
    address = ip_address(str(host).partition("%")[0])
    if address.is_unspecified:
        return f"http://{'127.0.0.1' if address.version == IPV4 else '[::1]'}:{port}"
    return f"http://[{host}]:{port}" if address.version != IPV4 else f"http://{host}:{port}"
