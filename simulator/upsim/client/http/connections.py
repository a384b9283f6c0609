"""The connections of a client without its own httpx client: no proxies, and limited reads."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from typing import Any, cast

import httpcore
import httpx

from upsim.client.http.total_timeout import active_timeout
from upsim.untrusted_connections import (
    POOL_LIMITS,
    AsyncTransport,
    Heads,
    NoCookies,
    checking,
    core_request,
    host_errors,
    httpx_errors,
)

SILENCE = 5.0
"""Seconds for which a server may send nothing; the default of httpx."""


def sync_connections(seconds: float = SILENCE) -> httpx.Client:
    """Return a sync client that limits the total time of a response.

    `seconds` is the maximum time without a byte.
    """
    return httpx.Client(
        transport=SyncTransport(), trust_env=False, timeout=seconds, cookies=NoCookies()
    )


def async_connections(seconds: float = SILENCE) -> httpx.AsyncClient:
    """Return an async client that allows at most `seconds` without a byte.

    The event loop limits the total time of a response.
    """
    transport = AsyncTransport(checking())
    return httpx.AsyncClient(
        transport=transport, trust_env=False, timeout=seconds, cookies=NoCookies()
    )


class _Stream(httpcore.NetworkStream):
    """A connection whose reads respect the total time limit of the exchange that reads."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self._heads = Heads()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._read(self._heads.piece(max_bytes), timeout)
        self._heads.feed(data)
        return data

    def _read(self, max_bytes: int, timeout: float | None) -> bytes:
        patience = active_timeout()
        if patience is None:
            return self._inner.read(max_bytes, timeout)
        try:
            return self._inner.read(max_bytes, patience.shorten(timeout))
        except httpcore.ReadTimeout:
            patience.check()
            raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not self._heads.expected:
            self._heads = Heads()
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - as httpcore has it
        return self._inner.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    """A network backend that makes connections with limited reads."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        with host_errors(host):
            stream = super().connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(stream)


class SyncTransport(httpx.BaseTransport):
    """Sends requests over pooled connections with limited waits; ignores proxy variables."""

    def __init__(self) -> None:
        """Trust the usual certificate authorities."""
        self._connections = httpcore.ConnectionPool(
            ssl_context=checking(), network_backend=_Backend(), **POOL_LIMITS
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response, whose body is still to be read."""
        with httpx_errors():
            response = self._connections.handle_request(core_request(request))
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Close the connections."""
        with httpx_errors():
            self._connections.close()


class _Body(httpx.SyncByteStream):
    """The body of a response of httpcore."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with httpx_errors():
            yield from cast("Iterable[bytes]", self._response.stream)

    def close(self) -> None:
        self._response.close()
