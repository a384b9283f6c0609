"""A uvicorn server with hooks: ready, about to stop, and ended."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import uvicorn

from upsim.cli.escaped_output import is_output_lost
from upsim.cli.tls_handshakes import gated

FINDING = 1
GREET_SECONDS = 0.02
"""Seconds from ready to the banner, which reads every baseline; first requests go first."""


class ServerHooks(msgspec.Struct, frozen=True):
    """Functions to call once the server is ready, when it stops, and after its last response."""

    on_started: Callable[[], None]
    greet: Callable[[], None]
    on_stopping: Callable[[], None]
    on_stopped: Callable[[], None]


class UvicornServer(uvicorn.Server):
    """A uvicorn server that calls its hooks when it is ready and when it has ended."""

    def __init__(self, config: uvicorn.Config, hooks: ServerHooks) -> None:
        """Call `on_started` once the server is ready, and `greet` a moment later."""
        super().__init__(config)
        self._hooks = hooks
        self.code = 0
        """Exit code of the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let SIGHUP (a closed terminal) stop the server as SIGTERM does, except under `nohup`."""
        hangup = getattr(signal, "SIGHUP", None)  # Windows has no SIGHUP
        if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN:
            with super().capture_signals():
                yield
            return
        before = signal.signal(hangup, self.handle_exit)
        with super().capture_signals():
            try:
                yield
            finally:
                signal.signal(hangup, before)  # captured signals are raised again after this

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then call `on_started`."""
        gated(self.config)
        await super().startup(sockets)
        _spare_the_collector()
        self._hooks.on_started()
        asyncio.get_running_loop().call_later(GREET_SECONDS, self._greet)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop the server: cut held and open requests after a moment, without error messages."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._hooks.on_stopping()
        await super().shutdown(sockets)
        self._hooks.on_stopped()
        if is_output_lost():
            self.code = self.code or FINDING

    def _greet(self) -> None:
        """Print the banner; stop the server if its URL and token could not be printed."""
        self._hooks.greet()
        if is_output_lost():
            self.should_exit = True


def _spare_the_collector() -> None:
    """Make the garbage collector scan only new objects, and skip the objects that exist now.

    Stored jobs are many small objects without cycles. Scanning all of them repeatedly took a sixth
    of the time of a submit. New objects are scanned while they are few and still in the CPU cache.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000, 2_000, 100)
