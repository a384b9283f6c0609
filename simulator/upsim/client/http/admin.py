"""Requests to the admin API at a URL where any server could answer.

A response has so many bytes and so many seconds at most, and is not compressed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from upsim.client.exceptions import ProtocolError
from upsim.client.http.decoding import PLAIN
from upsim.client.http.total_timeout import TotalTimeout

MAX_BYTES = 16 * 2**20
"""The longest response that is read."""
SECONDS = 300.0
"""Real time that a request and its response may take in all."""


@dataclass(frozen=True, slots=True)
class AdminAnswer:
    """A status and a JSON object, whose parts nobody has checked."""

    status: int
    document: Mapping[str, Any]
    note: str = ""
    """What the server notes beside its response, such as a token that is wrong but not needed."""

    @property
    def is_success(self) -> bool:
        """Whether the request was carried out."""
        return httpx.codes.is_success(self.status)

    @property
    def message(self) -> str:
        """What a refusal says of its reason, or its status."""
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
    """Send a request and read its response, which is JSON and not compressed.

    Raises ProtocolError for any other response, httpx.HTTPError where there is none.
    """
    sent = {**(headers or {}), "accept-encoding": "identity"}
    request = http.build_request(
        method, url, json=body, headers=sent, extensions=dict(extensions or {})
    )
    response, content = exchange(http, request)
    try:
        document = json.loads(content or b"{}")
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"status {response.status_code}, and no JSON") from error
    if not isinstance(document, dict):
        raise ProtocolError(f"status {response.status_code}, and no JSON object")
    return AdminAnswer(response.status_code, document, response.headers.get("x-upsim-note", ""))


def exchange(
    http: httpx.Client,
    request: httpx.Request,
    *,
    seconds: float | None = None,
    most: int = MAX_BYTES,
) -> tuple[httpx.Response, bytes]:
    """Send a request and read the whole response. Raises ProtocolError or httpx.HTTPError.

    It takes so many `seconds` (SECONDS without) and `most` so many bytes. Over the client's own
    connections (`connections`) a response that drips ends in time, too.
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
    """As `exchange`, letting others work."""
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
        raise httpx.ReadTimeout(f"the answer has not ended within {SECONDS:.3g} s") from error
    return response, bytes(content.read)


class _Content:
    """What was read of a body so far."""

    def __init__(self, response: httpx.Response, most: int) -> None:
        """Take so many bytes at most. Raises ProtocolError for a body that is compressed."""
        encoding = response.headers.get("content-encoding", "")
        if encoding.lower() not in PLAIN:
            what = f"the response is compressed ({encoding[:40]})"
            raise ProtocolError(f"{what}, which nobody asked for")
        self.read = bytearray()
        self._most = most

    def add(self, piece: bytes) -> None:
        """Take the next piece. Raises ProtocolError when it is too long."""
        self.read += piece
        if len(self.read) > self._most:
            raise ProtocolError(f"the response has more than {self._most} bytes")
