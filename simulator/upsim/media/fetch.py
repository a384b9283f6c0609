"""Fetch a video from a checked IP address, within limits of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from anyio.lowlevel import checkpoint

from upsim.core.hosts import MAX_URL_LENGTH, Address
from upsim.core.media import Unmeasurable
from upsim.core.secrets import hidden_url
from upsim.core.url_flaws import port_flaw
from upsim.media.blob_store import BlobStore, BlobWriter
from upsim.media.fetch_addresses import FetchPolicy, resolve

if TYPE_CHECKING:
    import httpx

Resolver = Callable[[str, int], Awaitable[list[Address]]]

CHUNKS_AT_ONCE = 128
"""Chunks of a response that are written in one turn of the event loop: some 2 ms."""
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_PORTS = {"http": 80, "https": 443}
_FAILURES = (UnicodeError, OSError)  # the last: no file for a socket, or for certificates
_MAX_SHOWN_LENGTH = 200
_WRONG_VERSION = "WRONG_VERSION_NUMBER"
"""OpenSSL's reason for a plain-text response to a TLS handshake."""
_MAX_DIGITS = 18  # of a length, more than anyone has bytes
_NO_LIMIT = None  # on each step: the whole fetch has one


class Fetcher:
    """Fetches videos into a store.

    Every name is resolved here, and the connection goes to the checked address. A name that
    resolves differently later therefore cannot bypass the check. Proxy variables are ignored.
    """

    def __init__(
        self, store: BlobStore, policy: FetchPolicy, *, resolver: Resolver = resolve
    ) -> None:
        """Fetch into `store`, from the addresses that `policy` allows."""
        self._store = store
        self._policy = policy
        self._resolver = resolver

    async def fetch(self, url: str, *, limit: int, timeout: float) -> Path | Unmeasurable:  # noqa: ASYNC109  # of the whole fetch
        """Fetch `url`, at most `limit` bytes in `timeout` seconds; the file name is the digest.

        Return `unreachable` for any failure, including a status other than 2xx.
        """
        import httpx  # 60 ms, when first needed

        try:
            async with asyncio.timeout(timeout):
                return await self._follow(url, limit)
        except TimeoutError:
            return _unreachable(f"{url[:200]} took longer than {timeout:g} seconds")
        except (
            httpx.HTTPError,
            httpx.InvalidURL,
            httpx.StreamError,
            UnicodeError,
            OSError,
        ) as error:
            return _unreachable(f"{url[:200]}: {type(error).__name__} {error}")

    async def _follow(self, url: str, limit: int) -> Path | Unmeasurable:
        for _ in range(self._policy.redirects + 1):
            found = await self._get(url, limit)
            if not isinstance(found, str):
                return found
            try:
                url = urljoin(url, found)
            except ValueError:
                return _unreachable(f"redirected to what is no URL: {found[:_MAX_SHOWN_LENGTH]!a}")
        where = f"redirected to {hidden_url(url)[:_MAX_SHOWN_LENGTH]}"
        if self._policy.redirects:
            return _unreachable(f"more than {self._policy.redirects} redirects; at last {where}")
        return _unreachable(f"{where}; redirects are not followed")

    async def _get(self, url: str, limit: int) -> Path | Unmeasurable | str:
        """Return the file, the reason why there is none, or the URL of a redirect."""
        import httpx  # see `fetch`

        if len(url) > MAX_URL_LENGTH:
            long = f"a URL may have {MAX_URL_LENGTH} characters, this one has {len(url)}"
            return _unreachable(long)
        target = httpx.URL(url)
        port = _PORTS.get(target.scheme) if target.port is None else target.port
        if port is None or not target.host:
            return _unreachable(f"{url[:200]} is no http or https URL")
        flaw = port_flaw(url)
        if flaw:
            return _unreachable(flaw)
        addresses = await self._resolver(target.host, port)
        if not addresses:
            return _unreachable(f"the host {target.host} is not known")
        refused = [address for address in addresses if not self._policy.allows(address)]
        if refused:
            return _unreachable(
                f"the address {refused[0]} of {target.host} may not be fetched from"
            )
        return await self._try_each(target, addresses, limit)

    async def _try_each(
        self, target: httpx.URL, addresses: list[Address], limit: int
    ) -> Path | Unmeasurable | str:
        """Return the response of the first address that accepts a connection."""
        import httpx  # see `fetch`

        from upsim.untrusted_connections import AsyncTransport, NoCookies, checking, trusting

        checked = self._policy.name == "public"
        transport = AsyncTransport(checking() if checked else trusting())
        async with httpx.AsyncClient(
            transport=transport, trust_env=False, timeout=_NO_LIMIT, cookies=NoCookies()
        ) as client:
            problem = ""
            for address in addresses:
                try:
                    return await self._download(client, target, address, limit)
                except httpx.ConnectError as error:
                    problem = _no_tls(target) if _WRONG_VERSION in str(error) else str(error)
        return _unreachable(f"no connection to {target.host}: {problem}")

    async def _download(
        self, client: httpx.AsyncClient, target: httpx.URL, address: Address, limit: int
    ) -> Path | Unmeasurable | str:
        headers = {"Host": target.netloc.decode("ascii"), "Accept-Encoding": "identity"}
        request = client.build_request(
            "GET",
            target.copy_with(host=str(address), username=None, password=None, fragment=None),
            headers=headers,
            extensions={"sni_hostname": target.host},
        )
        response = await client.send(request, stream=True, follow_redirects=False)
        try:
            return await self._receive(response, limit)
        finally:
            await response.aclose()

    async def _receive(self, response: httpx.Response, limit: int) -> Path | Unmeasurable | str:
        location = response.headers.get("location")
        if response.status_code in _REDIRECTS and location:
            return str(location)
        if not response.is_success:
            return _unreachable(f"the response was {response.status_code}")
        length = response.headers.get("content-length", "")
        if length.isascii() and length.isdecimal() and int(length[:_MAX_DIGITS]) > limit:
            return _too_large(limit)
        count = 0
        with self._store.writer(limit) as writer:
            async for chunk in response.aiter_raw():
                if not writer.write(chunk):
                    return _problem(writer, limit)
                count += 1
                if count % CHUNKS_AT_ONCE == 0:  # thousands of short ones may have arrived together
                    await checkpoint()
            stored = writer.finish()
        return stored if isinstance(stored, Unmeasurable) else self._stored(stored)

    def _stored(self, digest: str) -> Path | Unmeasurable:
        path = self._store.path(digest)
        return _unreachable("the file was crowded out at once") if path is None else path


def _no_tls(target: httpx.URL) -> str:
    """Return advice if a server responds to a TLS handshake in plain text."""
    port = f"port {target.port}" if target.port is not None else "the port"
    return f"{port} speaks no TLS; use http:// in place of https://"


def _unreachable(detail: str) -> Unmeasurable:
    return Unmeasurable("unreachable", f"The video could not be fetched: {detail}."[:500])


def _problem(writer: BlobWriter, limit: int) -> Unmeasurable:
    found = writer.problem
    return found if found is not None and found.reason == "no_room" else _too_large(limit)


def _too_large(limit: int) -> Unmeasurable:
    return Unmeasurable("too_large", f"The file is larger than the {limit} bytes allowed.")
