"""Read bodies that arrive in pieces, without delaying other requests."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.requests import Request

from upsim_contracts.cassettes.bodies import Tee
from upsim_contracts.record.body_memory import BodyShare
from upsim_contracts.record.upstream_responses import PIECE

MAX_TEXT = 16 * 2**20
"""Bytes of a document that are read before it is passed on."""
MAX_PACKED = 2**20
"""Bytes of a compressed document that is unpacked: empty blocks take a second for 10 MiB."""
TURN = 64
"""Pieces after which other requests have their turn."""


async def in_turns(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the same pieces, and let other requests run after every `TURN` pieces.

    Thousands of one-byte pieces may already be available. The event loop would not switch to other
    requests between them.
    """
    count = 0
    async for piece in pieces:
        yield piece
        count += 1
        if count % TURN == 0:
            await asyncio.sleep(0)  # noqa: TID251 - waits for nothing


@asynccontextmanager
async def read_within(seconds: float) -> AsyncIterator[None]:
    """Raise ReadTimeout if the block takes longer in total, even if bytes keep arriving."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise httpx.ReadTimeout(f"not complete within {seconds:g} seconds") from error


async def with_copy(request: Request, tee: Tee) -> AsyncIterator[bytes]:
    """Yield the pieces of a request, and feed each of them to `tee`."""
    async for chunk in request.stream():
        tee.feed(chunk)
        yield chunk


async def beginning(
    pieces: AsyncIterator[bytes], share: BodyShare, most: int = MAX_TEXT
) -> tuple[bytearray, bool]:
    """Return a document and whether it is complete; a document that is too long is cut.

    A document is also too long if other open exchanges leave no memory for it.
    """
    found = bytearray()
    async for chunk in pieces:
        found += chunk
        if not share.take(len(chunk)) or len(found) > most:
            return found, False
    return found, True


async def joined(
    sent: bytearray, pieces: AsyncIterator[bytes], share: BodyShare
) -> AsyncIterator[bytes]:
    """Yield a held beginning, whose memory is released as it is sent, then the other pieces."""
    while sent:
        piece = bytes(sent[:PIECE])
        del sent[:PIECE]
        yield piece
        share.give(len(piece))
    async for chunk in pieces:
        yield chunk


async def unread(
    beginning: list[bytes], pieces: AsyncIterator[bytes], tee: Tee, share: BodyShare
) -> AsyncIterator[bytes]:
    """Yield a request whose beginning was held; its memory is released as it is sent."""
    beginning.reverse()
    while beginning:
        piece = beginning.pop()
        tee.feed(piece)
        yield piece
        share.give(len(piece))
    async for piece in pieces:
        tee.feed(piece)
        yield piece


def is_plain(encoding: str) -> bool:
    """Return whether a content encoding leaves a document unchanged."""
    return encoding.lower() in ("", "identity")


def decoded(sent: bytes | bytearray, encoding: str) -> bytes | None:
    """Return a document without its content encoding; None if it cannot be decoded.

    Also returns None for a long compressed document, because decoding it can take 0.1 seconds.
    """
    if is_plain(encoding):
        return bytes(sent)
    if encoding.lower() not in ("gzip", "x-gzip", "deflate") or len(sent) > MAX_PACKED:
        return None
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)  # of gzip and of zlib
    try:
        found = unpacking.decompress(sent, MAX_TEXT)
    except zlib.error:
        return None
    return found if unpacking.eof else None
