"""Bodies that arrive in pieces, read without holding up other requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

TURN = 64
"""Pieces after which other requests have their turn."""


async def in_turns(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces; thousands of one byte may lie ready, for which the loop would not wait."""
    count = 0
    async for piece in pieces:
        yield piece
        count += 1
        if count % TURN == 0:
            await asyncio.sleep(0)  # noqa: TID251 - waits for nothing
