"""Requests to the admin API at a URL where any server could answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from upsim.client.exceptions import ProtocolError

MOST_BYTES = 16 * 2**20
"""The longest response that is read."""
_PLAIN = ("", "identity")


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
    with http.stream(
        method, url, json=body, headers=sent, extensions=dict(extensions or {})
    ) as response:
        content = _content(response)
    try:
        document = json.loads(content or b"{}")
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"status {response.status_code}, and no JSON") from error
    if not isinstance(document, dict):
        raise ProtocolError(f"status {response.status_code}, and no JSON object")
    return AdminAnswer(response.status_code, document, response.headers.get("x-upsim-note", ""))


def _content(response: httpx.Response) -> bytes:
    """Read a body. Raises ProtocolError for one that is compressed or too long."""
    encoding = response.headers.get("content-encoding", "")
    if encoding.lower() not in _PLAIN:
        raise ProtocolError(f"the response is compressed ({encoding[:40]}), which nobody asked for")
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > MOST_BYTES:
            raise ProtocolError(f"the response has more than {MOST_BYTES} bytes")
    return bytes(content)
