"""Connections before the end of their TLS handshake: counted with all others, and timed out.

uvicorn gets an encrypted connection only after its handshake. Without this module, a client
that never completes a handshake would use a file descriptor without being counted.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, cast

import uvicorn
from uvicorn.server import ServerState

from upsim.cli.connection_limits import LOOK_SECONDS, most_connections, report_too_many


class TlsGate(asyncio.Protocol):
    """A connection until its TLS handshake is complete; then its own protocol takes over."""

    def __init__(
        self, state: ServerState, context: ssl.SSLContext, inner: Callable[[], asyncio.Protocol]
    ) -> None:
        """Keep `inner`, which makes the protocol for encrypted connections."""
        self._connections = cast("set[object]", state.connections)
        self._state = state
        self._context = context
        self._inner = inner
        self._came = bytearray()
        self._is_lost = False
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake, unless there are too many connections."""
        self._transport = cast("asyncio.Transport", transport)
        loop = asyncio.get_running_loop()
        if len(self._connections) >= most_connections():
            report_too_many(loop, self._state)
            self._transport.close()
            return
        self._connections.add(self)
        self._task = loop.create_task(self._secure(loop, self._transport))

    def data_received(self, data: bytes) -> None:
        """Keep input that arrives just before or just after the handshake."""
        self._came += data

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as in asyncio
        """End the connection, because the client closed it."""
        self._is_lost = True
        self._connections.discard(self)

    def shutdown(self) -> None:
        """End the connection with the server."""
        if self._transport is not None:
            self._transport.abort()

    async def _secure(self, loop: asyncio.AbstractEventLoop, raw: asyncio.Transport) -> None:
        handshake = loop.create_task(self._handshake(loop, raw))
        for _ in range(2):  # it takes over the connection in the first turn, and begins in the next
            await asyncio.sleep(0)  # noqa: TID251 - waits for nothing
        self._pass_on(raw)
        secured = await handshake
        self._connections.discard(self)
        if secured is None or self._is_lost:
            raw.abort()
            return
        inner = self._inner()
        secured.set_protocol(inner)
        inner.connection_made(secured)
        if self._came:
            inner.data_received(bytes(self._came))

    async def _handshake(
        self, loop: asyncio.AbstractEventLoop, raw: asyncio.Transport
    ) -> asyncio.Transport | None:
        """Return the encrypted connection; None after a timeout or without a usable TLS version."""
        seconds = LOOK_SECONDS
        try:
            return await loop.start_tls(
                raw, self, self._context, server_side=True, ssl_handshake_timeout=seconds
            )
        except OSError:
            return None

    def _pass_on(self, raw: asyncio.Transport) -> None:
        """Pass input that arrived before the handshake to it; uvloop starts to read immediately."""
        came, self._came = self._came, bytearray()
        handshake = raw.get_protocol()
        if handshake is self or raw.is_closing():
            return
        reads = cast("asyncio.BufferedProtocol", handshake)
        while came:
            room = cast("memoryview", reads.get_buffer(len(came)))
            size = min(len(room), len(came))
            room[:size] = came[:size]
            del came[:size]
            reads.buffer_updated(size)


def gated(config: uvicorn.Config) -> None:
    """Make a server with TLS count connections during their handshake."""
    context, inner = config.ssl, config.http_protocol_class
    if context is None:
        return

    def made(**arguments: Any) -> TlsGate:  # noqa: ANN401 - what uvicorn gives its protocols
        return TlsGate(arguments["server_state"], context, lambda: inner(**arguments))

    config.ssl = None
    config.http_protocol_class = cast("type[asyncio.Protocol]", made)
