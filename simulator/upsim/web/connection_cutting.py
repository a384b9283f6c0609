"""The connection of a request, for faults that cut it."""

from __future__ import annotations

from typing import Protocol

from starlette.types import Scope

EXTENSION = "upsim.connection"


class Connection(Protocol):
    """The connection object that a server stores in a scope as the extension `upsim.connection`."""

    def drop(self) -> None:
        """Send the pending output, then close the connection."""

    def reset(self) -> None:
        """Close at once, so that the client sees a reset."""

    def waited(self, seconds: float) -> None:
        """Report that virtual seconds passed without a byte; an in-process client may time out."""


class UncuttableError(RuntimeError):
    """The server that runs the application gives no access to its connections."""


def connection_of(scope: Scope) -> Connection:
    """Return the connection of a request. Raises UncuttableError."""
    found: Connection | None = (scope.get("extensions") or {}).get(EXTENSION)
    if found is None:
        msg = "this server cannot cut connections: use `upsim serve` or upsim's own transport"
        raise UncuttableError(msg)
    return found
