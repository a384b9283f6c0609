"""A request's body on its way to the store: in memory while it is small, then in a file."""

from __future__ import annotations

import asyncio
import hashlib
from types import TracebackType
from typing import Self

from starlette.types import Receive

from upsim.core.call import Carried, Headers, SentFile
from upsim.core.media import Unmeasurable
from upsim.engine.body_memory import ALWAYS_TAKEN, CrowdedError, Share
from upsim.engine.command_log import MAX_BODY_KEPT
from upsim.media.blob_store import BlobStore, BlobWriter
from upsim.web.request_bodies import ClientGoneError, announced_length

MAX_KEPT = 8 << 20
"""Maximum bytes of a body that the command log keeps; of a longer one it keeps the beginning."""
IN_MEMORY = 1 << 20
"""Bytes that are collected before a write, which runs outside of the event loop."""


class Spool:
    """A body of at most `limit` bytes, read in chunks; reading waits until a chunk is written.

    `head` is the beginning of the body; `digest` is the digest of a longer body. Leaving the `with`
    block deletes a body that was not stored.
    A `whole` body stays in memory; it is refused if other requests use all memory. Any other body
    then keeps fewer bytes in memory. Providers read the body as `Content`.
    """

    def __init__(self, blobs: BlobStore, share: Share, limit: int, *, whole: bool = False) -> None:
        """Start with an empty body."""
        self._blobs = blobs
        self._share = share
        self._limit = limit
        self._whole = whole
        self._most_kept, self._beginning = MAX_KEPT, MAX_BODY_KEPT
        self._waiting: list[bytes] = []
        self._left = limit if whole else IN_MEMORY
        self._writer: BlobWriter | None = None
        self._hash = hashlib.sha256()
        self.head = b""
        self.size = 0
        self.oversized = False

    def __enter__(self) -> Self:
        """Return the spool itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Delete the file of a body that was not stored."""
        if self._writer is not None:
            self._writer.__exit__(kind, error, trace)

    @property
    def digest(self) -> str:
        """Return the digest of a body that is longer than `head`."""
        return self._hash.hexdigest() if self.size > len(self.head) else ""

    @property
    def problem(self) -> Unmeasurable | None:
        """Return the reason why there is no room for the body; None if there is room."""
        return None if self._writer is None else self._writer.problem

    async def fill(self, receive: Receive, headers: Headers) -> None:
        """Read the body up to the limit. Raises ClientGoneError or CrowdedError."""
        self.oversized = announced_length(headers) > self._limit
        more, waiting = not self.oversized, 0
        while more and not self.oversized and self.problem is None:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            part = message.get("body", b"")
            more = message.get("more_body", False)
            self.size += len(part)
            self._left -= len(part)
            self._waiting.append(part)
            self.oversized = self.size > self._limit
            if not self.oversized:
                waiting += len(part)
                self._hold(len(self.head) + waiting)
            if self._left < 0 and not self.oversized:
                await asyncio.to_thread(self._write)
                waiting = 0
                self._share.hold(len(self.head))
        if self.oversized:
            self.head, self.size = b"", 0
        elif self._writer is None:
            self.head = b"".join(self._waiting)
            self._waiting.clear()  # otherwise it is in memory twice
        elif self._waiting:
            await asyncio.to_thread(self._write)
            self._share.hold(len(self.head))

    def stored(self) -> str | Unmeasurable:
        """Store the whole body under a lease; return its digest, or why it cannot be stored."""
        if self._writer is None:
            return self._blobs.put(self.head, leased=True)
        return self._writer.finish(leased=True)

    def keep(self, carried: Carried) -> SentFile | Unmeasurable:
        """Store the file that the body contains under a lease."""
        with self._blobs.writer(self._limit) as writer:
            for piece in carried.pieces:
                if not writer.write(piece):
                    break
            digest = writer.finish(leased=True)
        if isinstance(digest, Unmeasurable):
            return digest
        return SentFile(carried.file_name, carried.content_type, writer.size, digest)

    def find(self, sought: bytes, start: int, end: int) -> int:
        """Return the first position of the bytes `sought` between two positions, or -1."""
        if self._writer is None:
            return self.head.find(sought, start, end)
        for at in range(start, end, IN_MEMORY):
            piece = self.read(at, min(at + IN_MEMORY + len(sought) - 1, end))
            found = piece.find(sought)
            if found >= 0:
                return at + found
        return -1

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes between two positions."""
        if self._writer is None:
            return self.head[start:end]
        return self._writer.read(start, end)

    def _hold(self, size: int) -> None:
        """Reserve memory; if there is none, write the chunk at once and keep less in memory."""
        try:
            self._share.hold(size)
        except CrowdedError:
            if self._whole:
                raise
            self._most_kept = self._beginning = ALWAYS_TAKEN
            self._left = -1

    def _write(self) -> None:
        """Move the collected bytes from memory to the file."""
        if self._writer is None:
            self._writer = self._blobs.writer(self._limit)
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._left = IN_MEMORY
        if self.size <= self._most_kept:
            self.head += data
        else:
            self.head = (self.head + data)[: self._beginning]
        self._hash.update(data)
        self._writer.write(data)
