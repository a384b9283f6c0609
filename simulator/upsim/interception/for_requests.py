"""requests: its adapters get a pool of in-memory connections to the sandbox.

Retries, time-outs and errors are urllib3's and http.client's own code, which is not
replaced.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import requests
import requests.adapters
import urllib3
from urllib3.connection import HTTPConnection

from upsim.interception.active_interceptions import interception_of
from upsim.interception.memory_connection import (
    ConnectionEnd,
    ServerBytes,
    ServerSide,
    ending,
    sent,
)

PORTS = {"http": 80, "https": 443}
POOLS = ("get_connection_with_tls_context", "get_connection")
"""The methods in which an adapter chooses its pool: since requests 2.32, and before."""
Change = tuple[object, str, object]


def changes() -> Iterator[Change]:
    """Yield the attributes of requests to replace."""
    adapter = requests.adapters.HTTPAdapter
    for name in POOLS:
        if hasattr(adapter, name):
            yield adapter, name, _leading(getattr(adapter, name))


def _leading(original: Callable[..., Any]) -> Callable[..., Any]:
    def get_pool(self: object, request: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as requests has it
        url = urlsplit(request if isinstance(request, str) else request.url)
        if interception_of(url.hostname or "") is None:
            return original(self, request, *args, **options)
        pool = _Pool(url.hostname or "", url.port or PORTS[url.scheme])
        pool.scheme = url.scheme
        return pool

    return get_pool


class _Pool(urllib3.HTTPConnectionPool):
    """A pool of connections to the sandbox, also for https, because nothing is encrypted."""

    def _new_conn(self) -> Any:  # noqa: ANN401 - as urllib3 has it
        self.num_connections += 1
        connection = _Connection(self.host, self.port, timeout=self.timeout.connect_timeout)
        connection.scheme = self.scheme
        connection.default_port = PORTS[self.scheme]  # type: ignore[misc]  # of this connection
        return connection


class _Connection(HTTPConnection):
    """A connection whose socket is in memory."""

    scheme = "https"

    def _new_conn(self) -> Any:  # noqa: ANN401 - what http.client needs of a socket
        return _Socket(self.scheme, self.host)


class _Socket:
    """The socket methods that http.client uses. The first read sends the request."""

    def __init__(self, scheme: str, host: str) -> None:
        self._far_end = ServerSide(scheme)
        self._host = host
        self._request: httpx.Request | None = None
        self._timeout: float | None = None

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def sendall(self, data: bytes) -> None:
        self._request = self._far_end.feed(bytes(data))[0] or self._request

    def makefile(self, mode: str, buffering: int = -1) -> io.BufferedReader:
        del mode, buffering  # http.client reads bytes
        return io.BufferedReader(_Incoming(self._answer))

    def shutdown(self, how: int) -> None:
        """Do nothing: there is no peer to notify."""

    def close(self) -> None:
        """Do nothing: there is no socket to close."""

    def _answer(self) -> ServerBytes:
        request, found = self._request, interception_of(self._host)
        if request is None or found is None:  # the block ended in between
            return ServerBytes(b"", ConnectionEnd.CLOSED)
        request.extensions["timeout"] = {"read": self._timeout}
        try:
            return sent(found.handle(request))
        except httpx.TransportError as error:
            return ServerBytes(b"", ending(error))


class _Incoming(io.RawIOBase):
    """The bytes of a response, followed by the end of its connection."""

    def __init__(self, fetch: Callable[[], ServerBytes]) -> None:
        self._fetch = fetch
        self._sent: ServerBytes | None = None
        self._offset = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        if self._sent is None:
            self._sent = self._fetch()
        part = self._sent.data[self._offset : self._offset + len(buffer)]
        if not part and self._sent.ending is ConnectionEnd.RESET:
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        if not part and self._sent.ending is ConnectionEnd.SILENT:
            raise TimeoutError("timed out")
        buffer[: len(part)] = part
        self._offset += len(part)
        return len(part)
