"""What a recording holds of requests in memory, one by one and at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.requests import Request

MOST_SENT = 256 * 2**20
"""Bytes of a request that are held; what is sent to a link of an answer has no such bound."""
MOST_HELD = 512 * 2**20
"""Bytes of all requests that are held at once."""


class TooLargeError(Exception):
    """A request that is not held in memory, or is too long for a cassette."""

    status, code = 413, "too_large"


class BusyError(TooLargeError):
    """Requests that are under way hold as many bytes as may be."""

    status, code = 503, "busy"


class Room:
    """The bytes that requests hold at once."""

    def __init__(self) -> None:
        """Nothing is held."""
        self._held = 0

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """Give a function that takes room, which is given back at the end. It raises BusyError."""
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            if self._held + size > MOST_HELD:
                raise BusyError(f"requests under way hold {self._held} bytes; send it again later")
            self._held += size
            taken += size

        try:
            yield take
        finally:
            self._held -= taken


async def read_whole(request: Request, take: Callable[[int], None]) -> bytes:
    """The body of a request. Raises TooLargeError, BusyError, ClientDisconnect."""
    chunks = bytearray()
    async for chunk in request.stream():
        take(len(chunk))
        chunks += chunk
        if len(chunks) > MOST_SENT:
            raise TooLargeError(f"a request of more than {MOST_SENT} bytes is not recorded")
    return bytes(chunks)
