"""One simulator for a whole test process, with its own thread and its own event loop.

Tests can call it from sync code, any event loop and any thread. Sync code may call it even
while an event loop runs in the same thread. The engine itself always runs in one thread only.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future

import anyio.to_thread
import httpx
import uvicorn

from upsim.app import IN_PROCESS_HOST, App
from upsim.engine.seeds import fresh_token
from upsim.engine.settings import ServerSettings
from upsim.pipe_event_loop import new_loop
from upsim.transport import AsgiExchange

__tracebackhide__ = True  # for pytest: a failing test shows its own line, not ours
CLOSE_SECONDS = 5.0


class SimulatorGoneError(RuntimeError):
    """A request was sent to a simulator that does not run in this process."""


class ServerThread:
    """The application, its thread, and the port that it can open."""

    def __init__(self) -> None:
        """Start the thread. `listen` opens the first socket."""
        self.token = fresh_token()
        self.app = App(
            ServerSettings(
                hosts=(IN_PROCESS_HOST.removeprefix("http://"),),
                clock="auto",
                pace=1,
                admin_token=self.token,
                in_process=True,
            )
        )
        self._loop: asyncio.AbstractEventLoop
        self._over: asyncio.Event
        self._server: _Server | None = None
        self._address = ""
        self._serving: Future[None] | None = None
        begun = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(begun,), name="upsim", daemon=True)
        self._thread.start()
        begun.wait()

    def exchange(self, request: httpx.Request, body: bytes) -> httpx.Response:
        """Send one request. Raises httpx.ReadTimeout after the client's own time-out."""
        exchange = AsgiExchange(request, body)
        future = self._begin(exchange)
        try:
            future.result(_patience(request))
        except TimeoutError:
            if future.done():
                raise
            self._loop.call_soon_threadsafe(exchange.leave)
            raise httpx.ReadTimeout("timed out", request=request) from None
        return exchange.response()

    async def aexchange(self, request: httpx.Request, body: bytes) -> httpx.Response:
        """Send one request from async code; loops other than asyncio's use a thread."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return await anyio.to_thread.run_sync(self.exchange, request, body)
        exchange = AsgiExchange(request, body)
        future = self._begin(exchange)
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), _patience(request))
        except TimeoutError:
            if future.done():
                raise
            self._loop.call_soon_threadsafe(exchange.leave)
            raise httpx.ReadTimeout("timed out", request=request) from None
        except asyncio.CancelledError:
            self._loop.call_soon_threadsafe(exchange.leave)
            raise
        return exchange.response()

    def _begin(self, exchange: AsgiExchange) -> Future[None]:
        if not self._thread.is_alive():
            raise SimulatorGoneError(
                "the simulator is not in this process: it was closed, or this is a fork of the"
                " process that it runs in; there the address of upsim_server works"
            )
        return asyncio.run_coroutine_threadsafe(exchange.run(self.app), self._loop)

    def listen(self, protocol: type[asyncio.Protocol]) -> str:
        """Listen on a free port with one of uvicorn's protocols, and return the URL."""
        if self._server is None:
            own = socket.create_server(("127.0.0.1", 0))
            port = own.getsockname()[1]
            self._address = f"http://127.0.0.1:{port}"
            self.app.add_hosts(f"127.0.0.1:{port}", f"localhost:{port}")
            config = uvicorn.Config(
                self.app.door(self._address),
                http=protocol,
                ws="none",
                log_config=None,
                access_log=False,
                date_header=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=1,
            )
            self._server = _Server(config)
            serving = self._server.serve(sockets=[own])
            self._serving = asyncio.run_coroutine_threadsafe(serving, self._loop)
            self._server.answers.wait(CLOSE_SECONDS)
        return self._address

    def close(self) -> None:
        """End the server and the thread, and delete their files."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(CLOSE_SECONDS)
        self.app.close()

    def _run(self, begun: threading.Event) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(self._live(begun))

    async def _live(self, begun: threading.Event) -> None:
        """Keep the thread's event loop alive until the simulator ends."""
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        begun.set()
        await self._over.wait()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await asyncio.wrap_future(self._serving)
        await self.app.deliverer.close()


class _Server(uvicorn.Server):
    """A server that reports when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answers.set()


def _patience(request: httpx.Request) -> float | None:
    """Return the client's read time-out in real seconds."""
    patience: float | None = request.extensions.get("timeout", {}).get("read")
    return patience
