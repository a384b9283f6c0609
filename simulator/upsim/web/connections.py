"""The connection of a request, for faults that cut it."""

from __future__ import annotations

from typing import Protocol

from starlette.types import Scope

EXTENSION = "upsim.connection"


class Connection(Protocol):
    """What a server of ours offers in a scope's extensions under `upsim.connection`."""

    def drop(self) -> None:
        """Send what was written and close."""

    def reset(self) -> None:
        """Close at once, so that the caller sees a reset."""

    def waited(self, seconds: float) -> None:
        """So many virtual seconds passed without a byte; a caller in process may give up."""


class UncuttableError(RuntimeError):
    """The server that runs the application offers no hold on its connections."""


def connection_of(scope: Scope) -> Connection:
    """The connection of a request. Raises UncuttableError."""
    found: Connection | None = (scope.get("extensions") or {}).get(EXTENSION)
    if found is None:
        msg = "this server cannot cut connections: use `upsim serve` or upsim's own transport"
        raise UncuttableError(msg)
    return found
