"""`upsim record`: a proxy that records requests and responses between a client and a provider."""

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

from upsim.cli.cuttable_connections import CuttableProtocol
from upsim.cli.file_arguments import FileName
from upsim.cli.listen_address import is_local_only, listen
from upsim.cli.option_types import PROVIDER, Amount, Port, base_url
from upsim.cli.ready_file import ReadyFile, remove_stale
from upsim.cli.request_log import say
from upsim.cli.uvicorn_server import ServerHooks, UvicornServer
from upsim.cli.verify import GROUP

FINDING = 1
IPV4 = 4


class Recorder:
    """A recording as an application of our server protocol, without a fast path."""

    def __init__(self, application: ASGIApp) -> None:
        """Serve this application."""
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        await self._application(scope, receive, send)

    def fast_path(self, _scope: Scope, _body: bytes) -> ASGIApp:
        """Return the application, so that every request takes the normal path."""
        return self._application


@click.command("record")
@click.option(
    "--upstream",
    required=True,
    callback=base_url,
    help="Base URL of the provider; no other host is contacted.",
)
@click.option("--provider", type=PROVIDER, help="Provider, if --upstream does not show it.")
@click.option("--dialect", help="Dialect of the responses. Default: taken from --upstream.")
@click.option(
    "--to", required=True, type=FileName(written=True), help="Cassette file to write; new or empty."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=4748,
    show_default=True,
    type=Port(),
    help="Port; 0 picks a free port.",
)
@click.option(
    "--ready-file",
    type=FileName(written=True),
    is_eager=True,
    callback=remove_stale,
    help="Write a JSON file with base_url and pid once the recorder is ready.",
)
@click.option("--cap", type=Amount(), help="Maximum to spend, in the provider's unit.")
@click.option("--api-key", help="Key to send to the provider instead of the client's key.")
@click.option(
    "--clip",
    "clips",
    multiple=True,
    metavar="GLOB=CLIP",
    help="Properties of videos by URL pattern: '*/a.mp4=854x480 30fps 4.5s'.",
)
@click.option(
    "--balances/--no-balances",
    default=True,
    show_default=True,
    help="Read the balance before and after each paid request.",
)
@click.option(
    "--uses",
    type=FileName(written=True),
    help="When the run ends, add what the client used to this file, for `--uses`.",
)
@click.option(
    "--webhooks",
    metavar="URL",
    callback=base_url,
    help="Where the provider reaches this recorder, such as a tunnel: takes webhooks there, passes"
    " them on. At a simulator on this machine they come without it.",
)
@click.option("--webhook-secret", help="Secret to check webhook signatures with.")
def command(*, host: str, port: int, ready_file: Path | None, **asked: object) -> None:
    """Forward requests to a provider, check each response, and write both to a cassette.

    Clients use the URL of the recorder in place of the provider's. Ctrl-C ends the recording.
    Exit codes: 0 every response matches the documents, 1 a response does not, 2 usage error.
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
                say(f"{session.end()}\n")

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
    """Return the base URL for this machine, even if the socket listens on all interfaces."""
    host, port = listening.getsockname()[:2]
    address = ip_address(str(host).partition("%")[0])
    if address.is_unspecified:
        return f"http://{'127.0.0.1' if address.version == IPV4 else '[::1]'}:{port}"
    return f"http://[{host}]:{port}" if address.version != IPV4 else f"http://{host}:{port}"
