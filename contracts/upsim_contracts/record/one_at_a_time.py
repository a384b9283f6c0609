"""Turns of long work, so that it never fills the threads that short exchanges need."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext

SHORT = 16 * 2**10
"""Bytes of a body that is read, checked and written without waiting for a turn."""


class OneAtATime:
    """Work on long bodies is done for one exchange at a time, in the order in which they ask."""

    def __init__(self) -> None:
        """Nothing long is under way."""
        self._turn = asyncio.Lock()

    def of(self, size: int) -> AbstractAsyncContextManager[None]:
        """The turn for work on a body of `size` bytes; no work in it waits for network or turns."""
        return self._turn if size > SHORT else nullcontext()
