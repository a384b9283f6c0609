"""The memory that the bodies of all requests of a server use together, and its limit."""

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
    """A body does not fit because the bodies of other requests use the memory."""


class Room:
    """The memory that all bodies use together, in bytes."""

    def __init__(self) -> None:
        """Start with no reserved memory."""
        self.held = 0

    def share(self) -> Share:
        """Return the part of one request, which is released at the end of its `with` block."""
        return Share(self)


class Share:
    """The memory that the body of one request uses, in bytes."""

    __slots__ = ("_held", "_room")

    def __init__(self, room: Room) -> None:
        """Start with no reserved memory."""
        self._room = room
        self._held = 0

    def hold(self, size: int) -> None:
        """Change the reservation of this request to `size` bytes. Raises CrowdedError."""
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
        """Release the memory of this request."""
        self._room.held -= self._held
        self._held = 0
