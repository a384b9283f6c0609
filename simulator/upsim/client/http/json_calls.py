"""JSON requests to the admin API of a simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx

from upsim.client.adapter import ProviderResponse
from upsim.client.exceptions import TransientError
from upsim.client.http.admin import exchange, exchange_async
from upsim.client.http.connections import sync_connections
from upsim.client.http.exchanges import headers_of


class SimulatorClient:
    """Sends requests to a simulator, sync or async, over given connections or its own."""

    def __init__(
        self, base_url: str, token: str | None, http: httpx.Client | httpx.AsyncClient | None
    ) -> None:
        """Send `token`, if there is one, as a bearer token."""
        self._base_url = base_url.rstrip("/")
        self._headers = {"Accept-Encoding": "identity"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._async_http = http if isinstance(http, httpx.AsyncClient) else None
        self._http = http if isinstance(http, httpx.Client) else None
        self._own: httpx.Client | None = None

    def call(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> ProviderResponse:
        """Send a request and return its response.

        Raises TransientError if there is no response, ProtocolError for an invalid response.
        """
        if self._http is None:
            self._http = self._own = sync_connections()
        request = self._http.build_request(
            method, f"{self._base_url}{path}", json=body, headers=self._headers
        )
        try:
            return _plain(*exchange(self._http, request))
        except httpx.HTTPError as error:
            problem = _trouble(method, path, error)
        raise problem

    async def call_async(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> ProviderResponse:
        """Send a request like `call`, without blocking the event loop."""
        if self._async_http is None:
            return await asyncio.to_thread(self.call, method, path, body)
        request = self._async_http.build_request(
            method, f"{self._base_url}{path}", json=body, headers=self._headers
        )
        try:
            return _plain(*await exchange_async(self._async_http, request))
        except httpx.HTTPError as error:
            problem = _trouble(method, path, error)
        raise problem

    def close(self) -> None:
        """Close the connections that this client has opened."""
        if self._own is not None:
            self._own.close()
            self._http = self._own = None


def _plain(response: httpx.Response, content: bytes) -> ProviderResponse:
    return ProviderResponse(response.status_code, content, headers_of(response))


def _trouble(method: str, path: str, error: httpx.HTTPError) -> TransientError:
    return TransientError(f"{method} {path}: {type(error).__name__}: {str(error)[:200]}")
