"""uvicorn as commands need it: it tells when it answers, when it stops, and when it has ended."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from upsim.cli.terminal import is_output_lost
from upsim.cli.tls_gate import gated

FINDING = 1
GREET_SECONDS = 0.02
"""The greeting reads every baseline; an answer that is asked for at once comes first."""


@dataclass(frozen=True, slots=True)
class ServerHooks:
    """What is done once the server answers, when it is to stop, and after its last answer."""

    started: Callable[[], None]
    greet: Callable[[], None]
    stopping: Callable[[], None]
    stopped: Callable[[], None]


class UvicornServer(uvicorn.Server):
    """A uvicorn server that says when it answers, and when it has ended."""

    def __init__(self, config: uvicorn.Config, hooks: ServerHooks) -> None:
        """Once the server answers, `started` is called, and a moment later `greet`."""
        super().__init__(config)
        self._hooks = hooks
        self.code = 0
        """With what the process is to end."""

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
        gated(self.config)
        await super().startup(sockets)
        _spare_the_collector()
        self._hooks.started()
        asyncio.get_running_loop().call_later(GREET_SECONDS, self._greet)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: what is still held or open is cut after a moment, without complaints about it."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._hooks.stopping()
        await super().shutdown(sockets)
        self._hooks.stopped()
        if is_output_lost():
            self.code = self.code or FINDING

    def _greet(self) -> None:
        """Greet; a server whose address and token nobody could read ends."""
        self._hooks.greet()
        if is_output_lost():
            self.should_exit = True


def _spare_the_collector() -> None:
    """Look for garbage among what is new, seldom a second time, and never among the first objects.

    Kept jobs are many small objects without cycles; walking them all again and again took a sixth
    of the time of a submit. The new ones are walked while they are few and still in the cache.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000, 2_000, 100)
