"""What faults do to a connection over a socket."""

from __future__ import annotations

import asyncio
import socket

import pytest

from upsim.cli.cuttable_connections import SocketConnection


class Held(asyncio.Transport):
    """A transport that holds one socket and says whether it was aborted."""

    def __init__(self, held: socket.socket) -> None:
        """Hold a socket."""
        super().__init__({"socket": held})
        self.aborted = False

    def abort(self) -> None:
        """Close at once."""
        self.aborted = True


def test_a_reset_reaches_the_client() -> None:
    """A client that reads from a reset connection gets a connection reset error."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        caller = socket.create_connection(server.getsockname())
        held, _ = server.accept()
    with caller:
        transport = Held(held)
        SocketConnection(transport).reset()
        held.close()
        with pytest.raises(ConnectionResetError):
            caller.recv(1)
    assert transport.aborted


def test_a_closed_connection_is_not_reset() -> None:
    """A reset of a connection that is already closed raises no error."""
    held = socket.socket()
    held.close()
    transport = Held(held)
    SocketConnection(transport).reset()
    assert transport.aborted
