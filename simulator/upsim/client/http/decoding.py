"""Bodies that are compressed, unpacked piece by piece and never beyond a size.

A server that nobody vouches for may name any encoding, also one that the client did not ask for,
or several of them: a thousand bytes would then become gigabytes.
"""

from __future__ import annotations

import zlib

import httpx

ACCEPTED = "gzip, deflate"
"""What requests say that they take."""
PLAIN = ("", "identity")
_ZIPPED = ("gzip", "x-gzip", "deflate")
_ANY = zlib.MAX_WBITS | 32
"""Of zlib: by the first bytes, gzip or zlib."""


class Decoding:
    """What a body is without its encoding, `most` bytes of it."""

    def __init__(self, encoding: str, most: int) -> None:
        """Raises DecodingError for an encoding that was not asked for."""
        name = encoding.strip().lower()
        if name not in (*PLAIN, *_ZIPPED):
            raise httpx.DecodingError(
                f"the response is compressed ({encoding[:40]!a}), which nobody asked for"
            )
        self._unpacking = None if name in PLAIN else zlib.decompressobj(_ANY)
        self._may_be_raw = name == "deflate"
        self._most = self._left = most

    def feed(self, piece: bytes) -> bytes:
        """Unpack the next piece. Raises DecodingError for a broken one, or beyond the size."""
        found = self._unpacked(piece)
        self._left -= len(found)
        if self._left < 0:
            raise httpx.DecodingError(f"the response has more than {self._most} bytes")
        return found

    def _unpacked(self, piece: bytes) -> bytes:
        if self._unpacking is None:
            return piece
        first, self._may_be_raw = self._may_be_raw, False
        try:
            return self._unpacking.decompress(piece, self._left + 1)
        except zlib.error as error:
            if not first:
                raise httpx.DecodingError(f"the response is no such file: {error}") from error
        self._unpacking = zlib.decompressobj(-zlib.MAX_WBITS)  # deflate without a head, as some do
        return self._unpacked(piece)
