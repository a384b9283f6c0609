"""Connections to untrusted servers: limits on the data that may precede a response.

A server may send any number of informational responses (1xx) before the final response, and
a waiting client reads all of them. This module limits the headers before a body. It reads the
headers in small pieces, so that other work of the event loop continues.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from http.cookiejar import CookieJar
from typing import Any, Final, TypedDict, cast
from urllib.request import Request

import httpcore
import httpx


class _PoolLimits(TypedDict):
    max_connections: int
    max_keepalive_connections: int
    keepalive_expiry: float


MAX_INFORMATIONAL = 20
"""Maximum responses of status 1xx before the final one."""
MAX_HEAD_BYTES = 64 * 1024
"""Maximum bytes of all heads of one response together."""
MAX_HEAD_LINES = 1_000
PIECE = 4_096
"""Bytes that are read at once while a head is expected."""
POOL_LIMITS: Final[_PoolLimits] = {
    "max_connections": 100,
    "max_keepalive_connections": 20,
    "keepalive_expiry": 5.0,
}
"""httpx's own defaults, with five seconds for an idle connection."""
_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)
_SHOWN_HOST = 80
_END = re.compile(rb"\n\r?\n")
_INFORMATIONAL = re.compile(rb"HTTP/[0-9.]+ 1(?!01)[0-9]{2}\b")


class NoCookies(CookieJar):
    """A cookie jar that stores nothing; every client of this module uses it.

    Otherwise the cookies of one server would be sent for other users and to other servers.
    Thousands of cookies would also be parsed on the event loop.
    """

    def extract_cookies(self, response: object, request: Request) -> None:
        """Ignore the cookies without parsing their headers."""


class Heads:
    """The heads of one response up to the final head; `expected` is true until that is complete."""

    def __init__(self) -> None:
        """Start with no bytes read."""
        self.expected = True
        self._pending = bytearray()
        self._count = self._bytes = self._lines = 0

    def piece(self, most: int) -> int:
        """Return the number of bytes to read next."""
        return min(most, PIECE) if self.expected else most

    def feed(self, data: bytes) -> None:
        """Count bytes that were read. Raises RemoteProtocolError if a limit is exceeded."""
        if not self.expected:
            return
        searched = max(0, len(self._pending) - 2)
        self._pending += data
        while (end := _END.search(self._pending, searched)) is not None:
            self._add(self._pending[: end.end()])
            if not _INFORMATIONAL.match(self._pending):
                self.expected = False
                self._pending.clear()
                return
            self._count += 1
            if self._count > MAX_INFORMATIONAL:
                what = f"more than {MAX_INFORMATIONAL} informational responses"
                raise httpcore.RemoteProtocolError(f"{what} before the final one")
            del self._pending[: end.end()]
            searched = 0
        self._check(len(self._pending), self._pending.count(b"\n"))

    def _add(self, head: bytes | bytearray) -> None:
        self._bytes += len(head)
        self._lines += head.count(b"\n")
        self._check(0, 0)

    def _check(self, more_bytes: int, more_lines: int) -> None:
        if self._bytes + more_bytes > MAX_HEAD_BYTES:
            raise httpcore.RemoteProtocolError(f"a head of more than {MAX_HEAD_BYTES} bytes")
        if self._lines + more_lines > MAX_HEAD_LINES:
            raise httpcore.RemoteProtocolError(f"a head of more than {MAX_HEAD_LINES} lines")


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that limits the size of the response heads for each request."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._heads = Heads()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - as httpcore has it
        data = await self._inner.read(self._heads.piece(max_bytes), timeout)
        self._heads.feed(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as above
        if not self._heads.expected:
            self._heads = Heads()
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - as httpcore has it
        return self._inner.get_extra_info(info)


class _Backend(httpcore.AnyIOBackend):
    """A network backend whose connections limit the heads of responses."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        with host_errors(host):
            stream = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(stream)


@cache
def checking() -> ssl.SSLContext:
    """Return an SSL context that checks certificates; it is created once, because that is slow."""
    return httpx.create_ssl_context(trust_env=False)


@cache
def trusting() -> ssl.SSLContext:
    """Return an SSL context that accepts any certificate."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found.check_hostname, found.verify_mode = False, ssl.CERT_NONE
    return found


@contextmanager
def host_errors(host: str) -> Iterator[None]:
    """Raise httpcore.ConnectError for a host name that cannot be given to a resolver."""
    try:
        yield
    except ValueError as error:  # a label that IDNA refuses, or a null character
        raise httpcore.ConnectError(f"{host[:_SHOWN_HOST]!a} is not a host: {error}") from error


@contextmanager
def httpx_errors() -> Iterator[None]:
    """Raise each error of httpcore as the httpx error of the same name."""
    try:
        yield
    except _ERRORS as error:
        raised: Exception = getattr(httpx, type(error).__name__)(str(error))
        raise raised from error


def core_request(request: httpx.Request) -> httpcore.Request:
    """Return an httpx request in the form that httpcore needs."""
    url = request.url
    return httpcore.Request(
        request.method,
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


class AsyncTransport(httpx.AsyncBaseTransport):
    """A transport with pooled connections that limit the heads; proxy variables are ignored."""

    def __init__(self, context: ssl.SSLContext) -> None:
        """Use `context` to check certificates."""
        self._connections = httpcore.AsyncConnectionPool(
            ssl_context=context, network_backend=_Backend(), **POOL_LIMITS
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response; the caller reads the body."""
        with httpx_errors():
            response = await self._connections.handle_async_request(core_request(request))
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        with httpx_errors():
            await self._connections.aclose()


class _Body(httpx.AsyncByteStream):
    """The body of a response of httpcore."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = cast("AsyncIterable[bytes]", self._response.stream)
        with httpx_errors():
            async for piece in pieces:
                yield piece

    async def aclose(self) -> None:
        await self._response.aclose()
