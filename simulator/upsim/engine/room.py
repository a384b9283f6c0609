"""The memory that the bodies of all requests of a server hold at once, and its bound."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from upsim.engine.commands import KEPT_BODY

MOST_HELD = 256 * 2**20
"""Bytes of bodies that a server holds in memory at once."""
ALWAYS_TAKEN = KEPT_BODY
"""Bytes that one body may hold however much others hold: large bodies never refuse small ones."""


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
        if size > max(ALWAYS_TAKEN, self._held) and others + size > MOST_HELD:
            raise CrowdedError(
                f"the bodies of other requests hold {others} of {MOST_HELD} bytes of memory"
            )
        room.held = others + size
        self._held = size

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give everything back."""
        self._room.held -= self._held
        self._held = 0
