"""Decompress bodies chunk by chunk, and never beyond a maximum size.

An untrusted server may use several encodings, and encodings that the client did not
request. Then a thousand bytes could become gigabytes.
"""

from __future__ import annotations

import zlib

import httpx

ACCEPTED = "gzip, deflate"
"""Encodings that requests accept."""
PLAIN = ("", "identity")
_ZIPPED = ("gzip", "x-gzip", "deflate")
_ANY = zlib.MAX_WBITS | 32
"""Window bits for zlib that detect gzip or zlib by the first bytes."""


class Decoding:
    """The decompressed body, of at most `most` bytes."""

    def __init__(self, encoding: str, most: int) -> None:
        """Choose the decompressor. Raises DecodingError for an encoding that was not requested."""
        name = encoding.strip().lower()
        if name not in (*PLAIN, *_ZIPPED):
            raise httpx.DecodingError(
                f"the response is compressed ({encoding[:40]!a}), but no request allows it"
            )
        self._unpacking = None if name in PLAIN else zlib.decompressobj(_ANY)
        self._may_be_raw = name == "deflate"
        self._most = self._left = most

    def feed(self, piece: bytes) -> bytes:
        """Decompress the next chunk.

        Raises DecodingError if it is broken or exceeds the maximum size.
        """
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
                raise httpx.DecodingError(
                    f"the response cannot be decompressed: {error}"
                ) from error
        self._unpacking = zlib.decompressobj(-zlib.MAX_WBITS)  # raw deflate, as some send
        return self._unpacked(piece)
