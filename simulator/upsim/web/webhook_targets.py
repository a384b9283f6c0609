"""Send one request to a webhook receiver, with limits on target, duration and size."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import msgspec
from starlette.types import ASGIApp

from upsim.core.hosts import bare, canonical, is_loopback, resolvable, split_authority
from upsim.core.url_flaws import port_flaw
from upsim.core.webhooks import AttemptOutcome
from upsim.engine.media_lookup import split
from upsim.engine.settings import ServerSettings
from upsim.engine.webhooks import MAX_ANSWER_KEPT, Posting
from upsim.web import late_imports

if TYPE_CHECKING:
    import httpx

INBOX = re.compile(r"/__sim/sandboxes/[A-Za-z0-9_-]{1,64}/inbox/[A-Za-z0-9._-]{1,64}\Z")
"""The paths of the built-in receiver: open to all, and the only ones that webhooks may reach."""
_POSTING: ContextVar[bool] = ContextVar("upsim_posting", default=False)
PORTS = {"http": 80, "https": 443}
MAX_URL_LENGTH = 8192
MAX_OPEN = 256
"""Maximum open connections to receivers; further attempts wait."""
SHOWN = 200
_SLOTS: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class Receivers:
    """A sender of requests to loopback and to allowed hosts; it never redirects or uses a proxy."""

    def __init__(
        self, settings: ServerSettings, app: ASGIApp, transport: httpx.AsyncBaseTransport | None
    ) -> None:
        """Send requests for this server itself to `app`, without a socket."""
        public = split(settings.public_url or "")
        named = (*settings.hosts, public.netloc) if public and public.netloc else settings.hosts
        self._own = _parts(named)
        self._allowed = {bare(host) for host in settings.webhook_allow}
        self._app = app
        self._transport = transport

    def add_hosts(self, hosts: Iterable[str]) -> None:
        """Treat these `host:port` forms as this server, too."""
        self._own |= _parts(hosts)

    async def post(self, posting: Posting, seconds: float) -> AttemptOutcome:
        """Make one attempt; it always ends within its time limit and never raises."""
        await late_imports.read("httpx")
        url = _parsed(posting.url)
        reason = self._refusal(url, posting.url)
        if url is None or reason:
            return AttemptOutcome(None, reason, refused=True)
        _POSTING.set(True)  # of this task, which makes one attempt
        if self._is_own(url):
            return await self._attempt(posting, url, seconds)
        async with _slots():
            return await self._attempt(posting, url, seconds)

    async def _attempt(self, posting: Posting, url: httpx.URL, seconds: float) -> AttemptOutcome:
        import httpx

        got, error = _Got(), ""
        try:
            async with asyncio.timeout(seconds):
                await self._exchange(posting, url, seconds, got)
        except TimeoutError:
            what = "no answer" if got.status is None else "no whole answer"
            error = f"{what} within {seconds:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ExceptionGroup) as found:
            error = f"{type(found).__name__}: {found}"[:SHOWN]
        return AttemptOutcome(got.status, error, bytes(got.body))

    async def _exchange(self, posting: Posting, url: httpx.URL, seconds: float, got: _Got) -> None:
        import httpx

        from upsim.untrusted_connections import NoCookies

        headers = [(b"host", url.netloc), (b"user-agent", b"upsim")]
        headers += [(name.encode(), _raw(value)) for name, value in posting.headers]
        async with (
            httpx.AsyncClient(
                transport=self._transport_for(url),
                timeout=seconds,
                follow_redirects=False,
                trust_env=False,
                cookies=NoCookies(),
            ) as client,
            client.stream("POST", _reached(url), content=posting.body, headers=headers) as answer,
        ):
            got.status = answer.status_code
            await _read_beginning(answer, got.body)

    def _transport_for(self, url: httpx.URL) -> httpx.AsyncBaseTransport:
        if self._is_own(url):
            from upsim.transport import Transport

            return Transport(self._app, lambda _call: None)
        if self._transport is not None:
            return self._transport
        from upsim.untrusted_connections import AsyncTransport, checking, trusting

        # A receiver on this machine has no signed certificate.
        checked = url.scheme == "https" and not is_loopback(url.host)
        return AsyncTransport(checking() if checked else trusting())

    def _refusal(self, url: httpx.URL | None, text: str) -> str:
        """Return why this URL must not be called; empty if it may be called."""
        flaw = port_flaw(text)
        if flaw:
            return f"{flaw}: {text[:SHOWN]!r}"
        if url is None or url.scheme not in PORTS or not url.host:
            return f"not an http or https URL: {text[:SHOWN]!r}"
        if self._is_own(url):
            ours = bool(INBOX.match(url.path))
            return (
                "" if ours else f"webhooks to this server can only go to an inbox, not {url.path!r}"
            )
        named = is_loopback(url.host) or bare(url.host) in self._allowed
        if named or self._transport is not None:
            return ""
        return f"{url.host[:SHOWN]} is not loopback; allow it with --webhook-allow"

    def is_own(self, text: str) -> bool:
        """Return whether an attempt stays in this process because its target is this server."""
        url = _parsed(text)
        return url is not None and not self._refusal(url, text) and self._is_own(url)

    def _is_own(self, url: httpx.URL) -> bool:
        """Return whether the URL is this server, by any name of this machine."""
        host, usual = canonical(url.host), PORTS[url.scheme]
        port = url.port or usual
        return (host, port) in self._own or (port == usual and (host, None) in self._own)


@cache
def most_open() -> int:
    """Return how many connections to receivers may be open; enough files remain for clients."""
    try:
        from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit  # not on every platform
    except ImportError:
        return MAX_OPEN
    files = getrlimit(RLIMIT_NOFILE)[0]
    return MAX_OPEN if files == RLIM_INFINITY else max(1, min(MAX_OPEN, files // 4))


def _slots() -> asyncio.Semaphore:
    """Return the semaphore that all attempts of this event loop share."""
    loop = asyncio.get_running_loop()
    return _SLOTS.setdefault(loop, asyncio.Semaphore(most_open()))


def is_own_posting() -> bool:
    """Return whether the current task delivers a webhook of this server."""
    return _POSTING.get()


class _Got(msgspec.Struct):
    """The response so far; its status counts even if the body is endless or cut off."""

    status: int | None = None
    body: bytearray = msgspec.field(default_factory=bytearray)


async def _read_beginning(answer: httpx.Response, body: bytearray) -> None:
    """Read the first bytes of a response without waiting for its remaining bytes."""
    if answer.is_stream_consumed:  # made in this process, complete
        body += answer.content[:MAX_ANSWER_KEPT]
        return
    async for part in answer.aiter_raw():
        body += part[: MAX_ANSWER_KEPT - len(body)]
        if len(body) >= MAX_ANSWER_KEPT:
            return


def _parsed(text: str) -> httpx.URL | None:
    """Return the URL as httpx parses it, so that the checked URL is also the called URL."""
    import httpx

    if len(text) > MAX_URL_LENGTH:
        return None
    try:
        return httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        return None


def _parts(hosts: Iterable[str]) -> set[tuple[str, int | None]]:
    """Return host and port of each name, for comparison."""
    return {(canonical(host), port) for host, port in filter(None, map(split_authority, hosts))}


def _reached(url: httpx.URL) -> httpx.URL:
    """Return the URL with its host in a form that every resolver accepts."""
    host = resolvable(url.host)
    return url if host == url.host else url.copy_with(host=host)


def _raw(value: str) -> bytes:
    return value.encode("utf-8", "replace")
