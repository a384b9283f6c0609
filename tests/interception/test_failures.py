"""Faults of connections become the errors that each library raises on a wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import aiohttp
import httpx
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

if TYPE_CHECKING:
    from upsim.testing.sandboxes import SandboxHandle

URL = "https://vicsee.com/api/v1/tools/upscale-video"
BODY = {"video_url": "https://example.com/clip.mp4"}
HEADERS = {"Authorization": "Bearer any"}
SECONDS = 60
LATE = {"delay": "600s"}
"""Longer than the clients wait, in virtual time: the tests do not wait."""


def by_httpx() -> bytes:
    """Call by sync httpx."""
    return httpx.post(URL, json=BODY, headers=HEADERS, timeout=SECONDS).content


def by_async_httpx() -> bytes:
    """Call by async httpx."""

    async def call() -> bytes:
        async with httpx.AsyncClient() as http:
            return (await http.post(URL, json=BODY, headers=HEADERS, timeout=SECONDS)).content

    return asyncio.run(call())


def by_requests() -> bytes:
    """Call by requests."""
    return requests.post(URL, json=BODY, headers=HEADERS, timeout=SECONDS).content


def by_aiohttp() -> bytes:
    """Call by aiohttp."""

    async def call() -> bytes:
        patience = aiohttp.ClientTimeout(total=SECONDS)
        async with (
            aiohttp.ClientSession(timeout=patience) as http,
            http.post(URL, json=BODY, headers=HEADERS) as answer,
        ):
            return await answer.read()

    return asyncio.run(call())


CASES = [
    (by_httpx, "drop_connection", httpx.RemoteProtocolError),
    (by_httpx, "reset_connection", httpx.ReadError),
    (by_httpx, LATE, httpx.ReadTimeout),
    (by_httpx, {"truncate": 10}, httpx.RemoteProtocolError),
    (by_async_httpx, "drop_connection", httpx.RemoteProtocolError),
    (by_async_httpx, "reset_connection", httpx.ReadError),
    (by_async_httpx, LATE, httpx.ReadTimeout),
    (by_async_httpx, {"truncate": 10}, httpx.RemoteProtocolError),
    (by_requests, "drop_connection", requests.ConnectionError),
    (by_requests, "reset_connection", requests.ConnectionError),
    (by_requests, LATE, requests.ReadTimeout),
    (by_requests, {"truncate": 10}, requests.exceptions.ChunkedEncodingError),
    (by_aiohttp, "drop_connection", aiohttp.ServerDisconnectedError),
    (by_aiohttp, "reset_connection", aiohttp.ClientOSError),
    (by_aiohttp, LATE, aiohttp.ServerTimeoutError),
    (by_aiohttp, {"truncate": 10}, aiohttp.ClientPayloadError),
]


@pytest.mark.parametrize(("call", "do", "expected"), CASES)
def test_fault_is_the_library_s_own_error(
    sandbox: SandboxHandle, call: Callable[[], bytes], do: object, expected: type[Exception]
) -> None:
    """A cut, reset, late or truncated response raises the library's own socket error."""
    at = "mid_body" if isinstance(do, dict) and "truncate" in do else "before_accept"
    sandbox.arm({"at": at, "provider": "vicsee", "do": do})

    with pytest.raises(expected):
        call()


@pytest.mark.parametrize("call", [by_httpx, by_async_httpx, by_requests, by_aiohttp])
def test_call_after_a_fault_is_answered(sandbox: SandboxHandle, call: Callable[[], bytes]) -> None:
    """The request after a fault gets a normal response."""
    sandbox.arm({"at": "before_accept", "provider": "vicsee", "first": 1, "do": "drop_connection"})
    with pytest.raises((httpx.TransportError, requests.ConnectionError, aiohttp.ClientError)):
        call()

    assert b"creditsUsed" in call()


def test_retries_of_an_adapter_are_made(sandbox: SandboxHandle) -> None:
    """The retries of an HTTP adapter work: it retries after two 503 responses."""
    do = {"respond": {"status": 503}}
    sandbox.arm({"at": "before_accept", "provider": "vicsee", "first": 2, "do": do})
    with requests.Session() as session:
        retries = Retry(total=3, status_forcelist=[503], allowed_methods=None)
        session.mount("https://", HTTPAdapter(max_retries=retries))
        answer = session.post(URL, json=BODY, headers=HEADERS, timeout=SECONDS)

    assert 200 == answer.status_code
    assert [503, 503, 200] == [exchange["status"] for exchange in sandbox.journal]
