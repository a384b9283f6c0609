"""Fetching, from where it is allowed, within bounds."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from anyio.lowlevel import checkpoint

from tests.hosts import ODD_PORTS, UNUSABLE_URLS
from upsim.core.hosts import Address
from upsim.core.media import Unmeasurable
from upsim.media.blob_store import BlobStore
from upsim.media.fetch import CHUNKS_AT_ONCE, Fetcher
from upsim.media.fetch_addresses import LOOPBACK, PUBLIC, FetchPolicy, resolve

PUBLIC_AND_LOOPBACK = FetchPolicy("public", redirects=5, allow_loopback=True)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlobStore]:
    """A store in a temporary folder."""
    store = BlobStore(1_000_000, folder=tmp_path)
    yield store
    store.close()


@asynccontextmanager
async def serving(*answers: bytes, hang: bool = False) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A port that gives one raw answer after the other, and the requests it saw."""
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answers[min(len(seen), len(answers)) - 1])
        if hang:
            await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


async def fetch(
    store: BlobStore,
    url: str,
    *,
    policy: FetchPolicy = LOOPBACK,
    limit: int = 1_000,
    seconds: float = 5,
    names: dict[str, list[str]] | None = None,
) -> Path | Unmeasurable:
    """Fetches with names of our own."""

    async def resolve(host: str, port: int) -> list[Address]:
        del port
        known = {"127.0.0.1": ["127.0.0.1"], "localhost": ["::1", "127.0.0.1"], **(names or {})}
        return [ip_address(address) for address in known.get(host, [])]

    return await Fetcher(store, policy, resolver=resolve).fetch(url, limit=limit, timeout=seconds)


async def test_a_loopback_file_is_stored(store: BlobStore) -> None:
    """A file fetched from loopback is stored, and its file name is its digest."""
    async with serving(OK) as (port, seen):
        path = await fetch(store, f"http://127.0.0.1:{port}/a.mp4?x=1")
    assert isinstance(path, Path)
    assert path.read_bytes() == b"hello"
    assert store.path(path.name) == path
    assert seen[0].startswith(b"GET /a.mp4?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port)


async def test_the_next_address_of_a_name_is_tried(store: BlobStore) -> None:
    """If only one address of `localhost` has a server, the fetch still reaches it.

    The Host header keeps the name `localhost`.
    """
    async with serving(OK) as (port, seen):
        path = await fetch(store, f"http://localhost:{port}/a.mp4")
    assert isinstance(path, Path)
    assert b"Host: localhost:%d\r\n" % port in seen[0]


@pytest.mark.parametrize(
    ("answer", "reason", "says"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "unreachable", "response was 404"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n",
            "unreachable",
            "redirects are not followed",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n", "too_large", "1000 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(2_000), "too_large", "1000 bytes"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
            "unreachable",
            "RemoteProtocolError",
        ),
        (b"nonsense\r\n\r\n", "unreachable", "RemoteProtocolError"),
    ],
)
async def test_a_bad_response_has_a_reason(
    answer: bytes, reason: str, says: str, store: BlobStore
) -> None:
    """Each wrong status, redirect, size or broken response has its own reason."""
    async with serving(answer) as (port, _):
        told = await fetch(store, f"http://127.0.0.1:{port}/")
    assert isinstance(told, Unmeasurable)
    assert reason == told.reason
    assert says in told.detail


async def test_time_is_bounded(store: BlobStore) -> None:
    """The fetch of a response that never ends is stopped after its time-out."""
    async with serving(b"HTTP/1.1 200 OK\r\n\r\nhe", hang=True) as (port, _):
        told = await fetch(store, f"http://127.0.0.1:{port}/", seconds=0.2)
    assert isinstance(told, Unmeasurable)
    assert "took longer than 0.2 seconds" in told.detail
    assert store.size == 0


async def test_https_at_a_plain_server_says_to_use_http(store: BlobStore) -> None:
    """The error for https at an http server names the port and the scheme to use."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)  # the beginning of a TLS handshake
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        told = await fetch(store, f"https://127.0.0.1:{port}/clip.mp4")

    assert isinstance(told, Unmeasurable)
    assert f"port {port} speaks no TLS; use http:// in place of https://" in told.detail


async def test_a_refused_connection_is_unreachable(store: BlobStore) -> None:
    """A refused connection gives an unreachable video, and raises nothing."""
    async with serving(OK) as (port, _):
        pass
    told = await fetch(store, f"http://127.0.0.1:{port}/")
    assert isinstance(told, Unmeasurable)
    assert told.reason == "unreachable"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "http://",
        "x",
        "http://[::1",
        "",
        "http://no.such/",
        *(f"http://127.0.0.1:{port}/" for port in ODD_PORTS),
        "http://a b/",
        "http://xn--a/",
    ],
)
async def test_other_urls_are_unreachable(url: str, store: BlobStore) -> None:
    """A URL of another scheme, or with an unknown host, is unreachable."""
    told = await fetch(store, url)
    assert isinstance(told, Unmeasurable)
    assert told.reason == "unreachable"


@pytest.mark.parametrize(
    ("policy", "address", "allowed"),
    [
        (LOOPBACK, "127.0.0.1", True),
        (LOOPBACK, "127.8.9.10", True),
        (LOOPBACK, "::1", True),
        (LOOPBACK, "::ffff:127.0.0.1", True),
        (LOOPBACK, "8.8.8.8", False),
        (LOOPBACK, "10.0.0.1", False),
        (LOOPBACK, "0.0.0.0", True),  # noqa: S104  # a connection to it stays here
        (PUBLIC, "8.8.8.8", True),
        (PUBLIC, "2606:4700::1111", True),
        (PUBLIC, "127.0.0.1", False),
        (PUBLIC, "::1", False),
        (PUBLIC, "0.0.0.0", False),  # noqa: S104  # an address to be refused
        (PUBLIC, "10.1.2.3", False),
        (PUBLIC, "172.16.0.1", False),
        (PUBLIC, "192.168.0.1", False),
        (PUBLIC, "169.254.169.254", False),
        (PUBLIC, "100.64.0.1", False),
        (PUBLIC, "224.0.0.1", False),
        (PUBLIC, "240.0.0.1", False),
        (PUBLIC, "255.255.255.255", False),
        (PUBLIC, "fe80::1", False),
        (PUBLIC, "fc00::1", False),
        (PUBLIC, "ff02::1", False),
        (PUBLIC, "::", False),
        (PUBLIC, "::ffff:10.0.0.1", False),
        (PUBLIC, "64:ff9b::7f00:1", False),
        (PUBLIC, "64:ff9b::a00:1", False),
        (PUBLIC, "2002:7f00:1::", False),
        (PUBLIC, "fec0::1", False),
        (PUBLIC, "3fff::1", False),
        (PUBLIC, "192.0.0.8", False),
        (PUBLIC, "192.88.99.1", False),
        (PUBLIC_AND_LOOPBACK, "127.0.0.1", True),
        (PUBLIC_AND_LOOPBACK, "10.0.0.1", False),
    ],
)
def test_addresses_by_policy(policy: FetchPolicy, address: str, *, allowed: bool) -> None:
    """One policy allows only loopback, the other only the public internet.

    Both also apply to IPv4 addresses inside IPv6 addresses.
    """
    assert allowed == policy.allows(ip_address(address))


async def test_a_name_of_a_private_address_is_refused(store: BlobStore) -> None:
    """A host name is refused if one of its addresses is forbidden."""
    names = {"evil.example": ["8.8.8.8", "10.0.0.1"]}
    told = await fetch(store, "https://evil.example/x", policy=PUBLIC, names=names)
    assert isinstance(told, Unmeasurable)
    assert "10.0.0.1 of evil.example may not be fetched from" in told.detail


async def test_redirects_are_followed_and_checked(store: BlobStore) -> None:
    """A public fetch follows redirects, each to an address that is checked again."""
    moved = b"HTTP/1.1 301 Moved\r\nLocation: /there\r\n\r\n"
    async with serving(moved, OK) as (port, seen):
        path = await fetch(store, f"http://127.0.0.1:{port}/here", policy=PUBLIC_AND_LOOPBACK)
    assert isinstance(path, Path)
    assert seen[1].startswith(b"GET /there ")


async def test_a_redirect_to_a_private_address_is_refused(store: BlobStore) -> None:
    """A redirect to a private address is not followed."""
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://inside.example/\r\n\r\n"
    async with serving(moved) as (port, _):
        told = await fetch(
            store,
            f"http://127.0.0.1:{port}/",
            policy=PUBLIC_AND_LOOPBACK,
            names={"inside.example": ["169.254.169.254"]},
        )
    assert isinstance(told, Unmeasurable)
    assert "169.254.169.254 of inside.example may not be fetched from" in told.detail


PLACES = {
    "another scheme": ("file:///etc/passwd", "is no http or https URL"),
    "a scheme of code": ("javascript:alert(1)", "is no http or https URL"),
    "ftp": ("ftp://good.example/x", "is no http or https URL"),
    "no host": ("http:///x", "is no http or https URL"),
    "a name of this machine": ("http://inside.example:{port}/", "127.0.0.1 of inside.example"),
    "one of two addresses": ("//both.example/", "10.0.0.1 of both.example"),
    "loopback": ("http://127.0.0.1:{port}/", "127.0.0.1 of 127.0.0.1"),
    "a short loopback": ("http://127.1:{port}/", "127.0.0.1 of 127.1"),
    "a number": ("http://2130706433:{port}/", "127.0.0.1 of 2130706433"),
    "an octal number": ("http://0177.0.0.1:{port}/", "Invalid IPv4 address"),
    "the address of nothing": ("http://0:{port}/", "0.0.0.0 of 0"),
    "IPv6": ("http://[::1]:{port}/", "::1 of ::1"),
    "IPv4 in IPv6": ("http://[::ffff:127.0.0.1]:{port}/", "may not be fetched from"),
    "NAT64": ("http://[64:ff9b::7f00:1]:{port}/", "may not be fetched from"),
    "credentials": ("http://good.example@127.0.0.1:{port}/", "127.0.0.1 of 127.0.0.1"),
    "a backslash": ("http://127.0.0.1:{port}\\@good.example/", "10.1.1.1 of good.example"),
    "a name that changed its mind": ("http://good.example/", "10.1.1.1 of good.example"),
    "full-width digits": ("http://\uff11\uff12\uff17.0.0.1:{port}/", "Invalid IDNA hostname"),
    "a name in localhost": ("http://foo.localhost:{port}/", "of foo.localhost may not"),
    "metadata": ("http://169.254.169.254/latest/", "169.254.169.254 of 169.254.169.254"),
    "an odd port": ("http://good.example:080/", "is not a plain number"),
    "no URL": ("http://[::1", "redirected to what is no URL"),
    "a long one": ("http://good.example/" + "x" * 60_000, "a URL may have 8192 characters"),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
async def test_each_redirect_is_checked_like_the_first_url(
    store: BlobStore, place: tuple[str, str]
) -> None:
    """Scheme, host, port, length and all addresses of a redirect are checked again."""
    names = {
        "good.example": ["10.1.1.1"],
        "inside.example": ["127.0.0.1"],
        "both.example": ["8.8.8.8", "10.0.0.1"],
    }
    seen: list[str] = []

    class First(Fetcher):
        async def _try_each(
            self, target: httpx.URL, addresses: list[Address], limit: int
        ) -> Path | Unmeasurable | str:
            seen.append(f"{target.host} {addresses[0]}")
            return location if len(seen) == 1 else await super()._try_each(target, addresses, limit)

    async def resolving(host: str, port: int) -> list[Address]:
        if not seen:
            return [ip_address("8.8.8.8")]
        if host in names:
            return [ip_address(address) for address in names[host]]
        return await resolve(host, port)

    async with serving(OK) as (port, requests):
        location = place[0].format(port=port)
        found = await First(store, PUBLIC, resolver=resolving).fetch(
            "https://good.example/first", limit=1_000, timeout=5
        )
    assert isinstance(found, Unmeasurable)
    assert place[1] in found.detail
    assert (["good.example 8.8.8.8"], []) == (seen, requests)


async def test_slow_names_block_no_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred slow host names do not block other work in threads."""
    answered = threading.Event()

    def slow(*_asked: object, **_more: object) -> list[object]:
        answered.wait(120)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    asking = [asyncio.create_task(resolve(f"a{number}.example", 80)) for number in range(100)]
    await asyncio.sleep(0)
    other = asyncio.create_task(asyncio.to_thread(lambda: 1))
    done, _ = await asyncio.wait({other}, timeout=60)
    answered.set()
    assert {other} == done
    assert [[]] * 100 == await asyncio.gather(*asking)


async def test_redirects_share_one_timeout(store: BlobStore) -> None:
    """A chain of slow redirects has the same total time-out as one file."""

    async def later(_host: str, _port: int) -> list[Address]:
        await asyncio.sleep(0.2)
        return [ip_address("127.0.0.1")]

    async with serving(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n") as (port, seen):
        fetcher = Fetcher(store, PUBLIC_AND_LOOPBACK, resolver=later)
        told = await fetcher.fetch(f"http://127.0.0.1:{port}/", limit=9, timeout=0.5)
    assert isinstance(told, Unmeasurable)
    assert "took longer than 0.5 seconds" in told.detail
    assert len(seen) < 4


async def test_redirects_end(store: BlobStore) -> None:
    """A fetch stops after five redirects."""
    async with serving(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n") as (port, seen):
        told = await fetch(store, f"http://127.0.0.1:{port}/", policy=PUBLIC_AND_LOOPBACK)
    assert isinstance(told, Unmeasurable)
    assert len(seen) == 6


async def test_names_are_resolved_by_the_system(store: BlobStore) -> None:
    """A fetcher without its own resolver uses the system's."""
    async with serving(OK) as (port, _):
        path = await Fetcher(store, LOOPBACK).fetch(
            f"http://localhost:{port}/", limit=10, timeout=5
        )
    assert isinstance(path, Path)


async def test_proxy_variables_are_ignored(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetch connects directly, even if an environment variable names a proxy."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with serving(OK) as (port, _):
        assert isinstance(await fetch(store, f"http://127.0.0.1:{port}/"), Path)


@pytest.mark.parametrize("url", UNUSABLE_URLS.values(), ids=UNUSABLE_URLS)
async def test_an_unusable_url_is_unreachable(url: str, store: BlobStore) -> None:
    """A URL that cannot be requested is unreachable, also as the target of a redirect."""
    moved = b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n"
    sent = url.encode("utf-8", "surrogatepass").translate(None, b"\0\r\n")
    async with serving(moved % sent) as (port, _):
        fetcher = Fetcher(store, PUBLIC_AND_LOOPBACK)
        for first in (url, f"http://127.0.0.1:{port}/"):
            told = await fetcher.fetch(first, limit=1_000, timeout=5)
            assert isinstance(told, Unmeasurable)
            assert told.reason == "unreachable"


def test_thousands_of_short_chunks_let_other_tasks_run(store: BlobStore) -> None:
    """While a response of one-byte chunks is received, other tasks run every 128 chunks."""
    chunks = 10_000
    body = b"1\r\nx\r\n" * chunks + b"0\r\n\r\n"
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await checkpoint()
            turns += 1

    async def scene() -> Path | Unmeasurable:
        async with serving(response) as (port, _):
            counting = asyncio.create_task(count())
            found = await fetch(store, f"http://127.0.0.1:{port}/", limit=chunks, seconds=60)
            counting.cancel()
            return found

    found = asyncio.run(scene())
    assert isinstance(found, Path)
    assert found.read_bytes() == b"x" * chunks
    assert turns >= chunks // CHUNKS_AT_ONCE
