"""The memory that the bodies of all requests of a server hold at once, and its bound."""

from __future__ import annotations

from typing import Self

MAX_HELD = 256 * 2**20
"""Bytes of all bodies at which a large one gets no more."""
RESERVED = 64 * 2**20
"""Bytes beyond, which are for small bodies alone: large ones never crowd them out."""
SMALL = 2**20
"""Bytes up to which a body is small."""
ALWAYS_TAKEN = 64 * 1024
"""Size in bytes up to which a body is always accepted; a connection buffers as much anyway."""


class CrowdedError(OSError):
    """The bodies of the requests that are under way leave no room for more of this one."""


class Room:
    """The memory that all bodies use together, in bytes."""

    def __init__(self) -> None:
        """Nothing is held."""
        self.held = 0

    def share(self) -> Share:
        """Return the part of one request, which is given back at the end of its `with` block."""
        return Share(self)


class Share:
    """The memory that the body of one request uses, in bytes."""

    __slots__ = ("_held", "_room")

    def __init__(self, room: Room) -> None:
        """Nothing is held."""
        self._room = room
        self._held = 0

    def hold(self, size: int) -> None:
        """Reserve `size` bytes in place of the previous ones. Raises CrowdedError."""
        room = self._room
        others = room.held - self._held
        most = MAX_HELD if size > SMALL else MAX_HELD + RESERVED
        if size > max(ALWAYS_TAKEN, self._held) and others + size > most:
            raise CrowdedError(
                f"the bodies of other requests hold {others} of {most} bytes of memory"
            )
        room.held = others + size
        self._held = size

    def __enter__(self) -> Self:
        """Return the share itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Give everything back."""
        self._room.held -= self._held
        self._held = 0
