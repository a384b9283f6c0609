"""A server protocol whose connections faults can cut: closed, reset, or in the middle."""

from __future__ import annotations

import asyncio
import os
import socket
import struct

from upsim.cli.fast_protocol import FastPathProtocol
from upsim.web.connections import EXTENSION

_LINGER_NONE = struct.pack("ii", 1, 0)


class SocketConnection:
    """A connection over a socket."""

    __slots__ = ("_transport",)

    def __init__(self, transport: asyncio.Transport) -> None:
        """Hold the connection of a transport."""
        self._transport = transport

    def drop(self) -> None:
        """Send what was written and close."""
        self._transport.close()

    def reset(self) -> None:
        """Close so that the caller sees a reset: with nothing left to linger for (RFC 9293)."""
        held = self._transport.get_extra_info("socket")
        if held is not None and held.fileno() >= 0:  # the caller may have gone before
            with socket.socket(fileno=os.dup(held.fileno())) as own:
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self._transport.abort()

    def waited(self, seconds: float) -> None:
        """A caller over a socket looks at a clock of its own."""


class CuttableProtocol(FastPathProtocol):
    """uvicorn's protocol; every scope of a connection offers the same hold on it."""

    def connection_made(  # type: ignore[override]  # as in uvicorn itself
        self, transport: asyncio.Transport
    ) -> None:
        """Take a hold on the connection."""
        super().connection_made(transport)
        self.shared["extensions"] = {EXTENSION: SocketConnection(self.transport)}
