"""Run long work one at a time, so that free threads remain for short exchanges."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext

SHORT = 16 * 2**10
"""Bytes of a body that is read, checked and written without waiting for a turn."""


class OneAtATime:
    """A lock for long bodies: one exchange at a time, in the order of their requests."""

    def __init__(self) -> None:
        """Start without running work."""
        self._turn = asyncio.Lock()

    def of(self, size: int) -> AbstractAsyncContextManager[None]:
        """Return the lock for work on a body of `size` bytes; a short body needs no lock.

        Work under the lock must not wait for the network, or for the lock again.
        """
        return self._turn if size > SHORT else nullcontext()
