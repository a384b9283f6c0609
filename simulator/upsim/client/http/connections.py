"""The connections of a client that was given none: no proxies, and reads that end in time."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from functools import cache
from typing import Any

import httpcore
import httpx

from upsim.client.http.patience import kept_now

_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20)
"""What httpx itself has by default, with five seconds for a connection that is not used."""


def sync_connections() -> httpx.Client:
    """A sync client whose wait for an answer is bounded in all."""
    return httpx.Client(transport=_Transport(), trust_env=False)


def async_connections() -> httpx.AsyncClient:
    """An async client; the event loop bounds its waits."""
    return httpx.AsyncClient(trust_env=False, verify=_tls(), limits=_LIMITS)


@cache
def _tls() -> ssl.SSLContext:
    """The certificates that are trusted; reading them takes longer than a request."""
    return httpx.create_ssl_context(trust_env=False)


class _Stream(httpcore.NetworkStream):
    """A connection whose reads keep to the patience of the exchange that reads."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        patience = kept_now()
        if patience is None:
            return self._inner.read(max_bytes, timeout)
        try:
            return self._inner.read(max_bytes, patience.shorten(timeout))
        except httpcore.ReadTimeout:
            patience.check()
            raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
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
    """Makes such connections."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        stream = super().connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(stream)


class _Transport(httpx.HTTPTransport):
    """As httpx's own, with another backend, which httpx gives no parameter for."""

    def __init__(self) -> None:
        super().__init__(verify=_tls(), trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=_tls(),
            max_connections=_LIMITS.max_connections,
            max_keepalive_connections=_LIMITS.max_keepalive_connections,
            keepalive_expiry=_LIMITS.keepalive_expiry,
            network_backend=_Backend(),
        )
