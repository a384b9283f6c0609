"""Requests to the admin API at a URL where any server could respond.

The size and the duration of a response are limited, and it must not be compressed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from upsim.client.exceptions import ProtocolError
from upsim.client.http.bounded_decompression import PLAIN
from upsim.client.http.total_timeout import TotalTimeout

MAX_BYTES = 16 * 2**20
"""Maximum size of a response in bytes."""
SECONDS = 300.0
"""Real seconds that a request and its response may take in total."""


@dataclass(frozen=True, slots=True)
class AdminAnswer:
    """A status and a JSON object whose parts are not checked yet."""

    status: int
    document: Mapping[str, Any]
    note: str = ""
    """Notes that the server adds to its response, for example about a wrong but unneeded token."""

    @property
    def is_success(self) -> bool:
        """Whether the request succeeded."""
        return httpx.codes.is_success(self.status)

    @property
    def message(self) -> str:
        """The reason of a refusal, or its status if the server gives no reason."""
        error = self.document.get("error")
        told = error.get("message") if isinstance(error, Mapping) else None
        return told if isinstance(told, str) else f"status {self.status}"


def ask_admin(
    http: httpx.Client,
    method: str,
    url: str,
    *,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> AdminAnswer:
    """Send a request and read its response, which must be uncompressed JSON.

    Raises ProtocolError for an invalid response, httpx.HTTPError if there is no response.
    """
    sent = {**(headers or {}), "accept-encoding": "identity"}
    request = http.build_request(
        method, url, json=body, headers=sent, extensions=dict(extensions or {})
    )
    response, content = exchange(http, request)
    try:
        document = json.loads(content or b"{}")
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"status {response.status_code} without JSON") from error
    if not isinstance(document, dict):
        raise ProtocolError(f"status {response.status_code} without a JSON object")
    return AdminAnswer(response.status_code, document, response.headers.get("x-upsim-note", ""))


def exchange(
    http: httpx.Client,
    request: httpx.Request,
    *,
    seconds: float | None = None,
    most: int = MAX_BYTES,
) -> tuple[httpx.Response, bytes]:
    """Send a request and read the whole response. Raises ProtocolError or httpx.HTTPError.

    The exchange may take `seconds` (default SECONDS) and the response may have `most` bytes. With
    the client's own connections (`connections`) this also stops slow responses in small chunks.
    """
    patience = TotalTimeout(SECONDS if seconds is None else seconds)
    patience.with_answer()
    with patience.active():
        response = http.send(request, stream=True, follow_redirects=False)
        try:
            content = _Content(response, most)
            for piece in response.iter_bytes():
                content.add(piece)
                patience.check()
        finally:
            response.close()
    return response, bytes(content.read)


async def exchange_async(
    http: httpx.AsyncClient, request: httpx.Request
) -> tuple[httpx.Response, bytes]:
    """Send a request like `exchange`, without blocking the event loop."""
    try:
        async with asyncio.timeout(SECONDS):
            response = await http.send(request, stream=True, follow_redirects=False)
            try:
                content = _Content(response, MAX_BYTES)
                async for piece in response.aiter_bytes():
                    content.add(piece)
            finally:
                await response.aclose()
    except TimeoutError as error:
        raise httpx.ReadTimeout(f"the response has not ended within {SECONDS:.3g} s") from error
    return response, bytes(content.read)


class _Content:
    """The part of a body that was read so far."""

    def __init__(self, response: httpx.Response, most: int) -> None:
        """Accept at most `most` bytes. Raises ProtocolError for a compressed body."""
        encoding = response.headers.get("content-encoding", "")
        if encoding.lower() not in PLAIN:
            what = f"the response is compressed ({encoding[:40]})"
            raise ProtocolError(f"{what}, but no request allows it")
        self.read = bytearray()
        self._most = most

    def add(self, piece: bytes) -> None:
        """Add the next chunk. Raises ProtocolError if the body is too long."""
        self.read += piece
        if len(self.read) > self._most:
            raise ProtocolError(f"the response has more than {self._most} bytes")
