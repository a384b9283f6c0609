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
"""Bytes that a body may have whatever others hold; a connection buffers as many anyway."""


class CrowdedError(OSError):
    """The bodies of the requests that are under way leave no room for more of this one."""


class Room:
    """What all bodies hold at once, in bytes."""

    def __init__(self) -> None:
        """Nothing is held."""
        self.held = 0

    def share(self) -> Share:
        """Return the part of one request, which is given back at the end of its `with` block."""
        return Share(self)


class Share:
    """What the body of one request holds, in bytes."""

    __slots__ = ("_held", "_room")

    def __init__(self, room: Room) -> None:
        """Nothing is held."""
        self._room = room
        self._held = 0

    def hold(self, size: int) -> None:
        """Hold so many bytes in place of those before. Raises CrowdedError, and holds no more."""
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
        """Itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Give everything back."""
        self._room.held -= self._held
        self._held = 0
