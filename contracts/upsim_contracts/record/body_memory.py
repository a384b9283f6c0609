"""Limit the bytes of bodies that a recording holds in memory, for one request and in total."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.requests import Request

MAX_READ = 40 * 2**20
"""Bytes of a request that is read: more than any document allows (35 MB, Venice's data URLs).

The rest of a longer one passes unread, and so does what is sent to a link of an answer.
"""
MAX_HELD = 512 * 2**20
"""Bytes of all requests and responses that are held at once, with their parsed copies."""
BLOCK = 2**20
"""Bytes of the pieces in which a request is held until all of it is there."""
FIRST = 64 * 2**10
"""Bytes of these that an exchange has from its beginning, so that a short one is never cut off."""
SPARE = 64 * 2**20
"""Bytes of these that only the beginnings of exchanges take."""


class TooLargeError(Exception):
    """A request that is too large to hold in memory, or too long for a cassette."""

    status, code = 413, "too_large"


class BusyError(TooLargeError):
    """A request that does not fit into memory, because open exchanges use all allowed bytes."""

    status, code = 503, "busy"


@dataclass(slots=True)
class BodyMemory:
    """The number of bytes that all open exchanges hold together."""

    held: int = 0

    @contextmanager
    def share(self) -> Iterator[BodyShare]:
        """Give an exchange its share of the memory; release the share at the end of the block."""
        share = BodyShare(self)
        try:
            yield share
        finally:
            share.leave()


@dataclass(slots=True)
class BodyShare:
    """The bytes that one exchange holds in memory."""

    room: BodyMemory
    _used: int = 0
    _counted: int = 0

    def take(self, size: int) -> bool:
        """Count more bytes; return False if they exceed the limit, so the holder must drop them."""
        self._used += size
        wanted = max(FIRST, self._used)
        more = wanted - self._counted
        self._counted = wanted
        self.room.held += more
        most = MAX_HELD if wanted <= FIRST else MAX_HELD - SPARE
        return more <= 0 or self.room.held <= most

    def claim(self, size: int = 0) -> None:
        """Count more bytes. Raises BusyError if they exceed the limit."""
        if not self.take(size):
            raise BusyError(f"exchanges under way hold {self.room.held} bytes; send it again later")

    def give(self, size: int) -> None:
        """Release some bytes."""
        self.take(-size)

    def leave(self) -> None:
        """Release all bytes."""
        self.room.held -= self._counted
        self._used = self._counted = 0


async def read_beginning(
    pieces: AsyncIterator[bytes], share: BodyShare, most: int
) -> tuple[list[bytes], bool]:
    """Return the body of a request in pieces, up to `most` bytes, and whether it is complete.

    Raises BusyError, ClientDisconnect.
    """
    share.claim()
    found: list[bytes] = []
    last, size = bytearray(), 0
    async for chunk in pieces:
        share.claim(len(chunk))
        last += chunk
        size += len(chunk)
        if len(last) >= BLOCK or size > most:
            found.append(bytes(last))
            last.clear()
        if size > most:
            return found, False
    return [*found, bytes(last)], True


async def read_whole(request: Request, share: BodyShare, most: int) -> bytes:
    """Return the body of a request. Raises TooLargeError, BusyError, ClientDisconnect."""
    found, is_whole = await read_beginning(request.stream(), share, most)
    if not is_whole:
        raise TooLargeError(f"a request of more than {most} bytes is not recorded")
    return b"".join(found)


def weight(document: object) -> int:
    """Return the bytes of memory that a parsed document uses."""
    size = sys.getsizeof(document)
    if isinstance(document, Mapping):
        return size + sum(sys.getsizeof(key) + weight(one) for key, one in document.items())
    if isinstance(document, list):
        return size + sum(map(weight, document))
    return size
