"""Turns of long work, so that it never fills the threads that short exchanges need."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext

SHORT = 16 * 2**10
"""Maximum bytes of a body that is processed without waiting for a turn."""


class OneAtATime:
    """Work on long bodies is done for one exchange at a time, in the order in which they ask."""

    def __init__(self) -> None:
        """Nothing long is under way."""
        self._turn = asyncio.Lock()

    def of(self, size: int) -> AbstractAsyncContextManager[None]:
        """Return the turn for work on `size` bytes; never wait for the network inside it."""
        return self._turn if size > SHORT else nullcontext()
