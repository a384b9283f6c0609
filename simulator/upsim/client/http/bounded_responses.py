"""Limits on the size (after decompression) and the duration of untrusted responses."""

from __future__ import annotations

from collections.abc import Iterator

import httpx

from upsim.client.http.bounded_decompression import ACCEPTED, PLAIN, Decoding
from upsim.client.http.total_timeout import TotalTimeout

FILE = "upsim.file"
"""The request extension for downloads; a response that is a video counts as a download too."""
MAX_BYTES, SECONDS = 16 * 2**20, 120.0
"""Maximum decompressed bytes of a response, and real seconds for the request and response."""
MAX_FILE_BYTES, SECONDS_OF_FILE = 512 * 2**20, 600.0
"""The same limits for the longest video."""


class BoundedTransport(httpx.BaseTransport):
    """Limits each response that another transport returns."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        """Limit the responses of `inner`, whose reads should keep to the exchange's time limit."""
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Reading the response raises ReadTimeout or DecodingError at a limit."""
        if "," in request.headers.get("accept-encoding", ""):  # httpx's default
            request.headers["accept-encoding"] = ACCEPTED
        is_file = FILE in request.extensions
        patience = TotalTimeout(SECONDS_OF_FILE if is_file else SECONDS)
        patience.with_answer()
        with patience.active():
            response = self._inner.handle_request(request)
        encoding = response.headers.get("content-encoding", "")
        if response.headers.get("content-type", "").startswith("video/"):
            is_file = True
            patience.with_file(SECONDS_OF_FILE)
        try:
            decoding = Decoding(encoding, MAX_FILE_BYTES if is_file else MAX_BYTES)
        except httpx.DecodingError:
            response.close()
            raise
        headers = response.headers.copy()
        if encoding.lower() not in PLAIN:
            del headers["content-encoding"]
            headers.pop("content-length", None)
        return httpx.Response(
            response.status_code,
            headers=headers,
            stream=_Stream(response, decoding, patience),
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Close the inner transport."""
        self._inner.close()


class _Stream(httpx.SyncByteStream):
    """A body with limits on its duration and its size."""

    def __init__(
        self, response: httpx.Response, decoding: Decoding, patience: TotalTimeout
    ) -> None:
        self._response = response
        self._decoding = decoding
        self._patience = patience

    def __iter__(self) -> Iterator[bytes]:
        pieces = self._response.iter_raw()
        while True:
            with self._patience.active():
                piece = next(pieces, None)
            if piece is None:
                return
            self._patience.check()
            yield self._decoding.feed(piece)

    def close(self) -> None:
        self._response.close()
