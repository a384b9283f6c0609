"""A server protocol whose connections can be closed, reset or cut by faults."""

from __future__ import annotations

import asyncio
import os
import socket
import struct

from upsim.cli.fast_protocol import FastPathProtocol
from upsim.web.connection_cutting import EXTENSION

_LINGER_NONE = struct.pack("ii", 1, 0)


class SocketConnection:
    """A connection over a socket."""

    __slots__ = ("_transport",)

    def __init__(self, transport: asyncio.Transport) -> None:
        """Keep the transport of a connection."""
        self._transport = transport

    def drop(self) -> None:
        """Send pending output and close."""
        self._transport.close()

    def reset(self) -> None:
        """Close the connection with a reset: with a linger time of zero (RFC 9293)."""
        held = self._transport.get_extra_info("socket")
        if held is not None and held.fileno() >= 0:  # the caller may have gone before
            with socket.socket(fileno=os.dup(held.fileno())) as own:
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self._transport.abort()

    def waited(self, seconds: float) -> None:
        """Do nothing: a client over a socket measures time by its own clock."""


class CuttableProtocol(FastPathProtocol):
    """uvicorn's protocol; the scope of each request gives access to its connection."""

    def connection_made(  # type: ignore[override]  # as in uvicorn itself
        self, transport: asyncio.Transport
    ) -> None:
        """Make the connection accessible to faults."""
        super().connection_made(transport)
        self.shared["extensions"] = {EXTENSION: SocketConnection(self.transport)}
