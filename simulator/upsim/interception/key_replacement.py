"""Turn requests to providers into requests to a sandbox: its own key replaces the application's."""

from __future__ import annotations

from typing import Protocol

import httpx

from upsim.core.hosts import bare
from upsim.engine.api_keys import presented
from upsim.interception.provider_hosts import auth_of, provider_hosts

__tracebackhide__ = True  # for pytest: a failing test shows its own line, not ours


class Carrier(Protocol):
    """A transport to a simulator; an httpx transport, sync and async, is one."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request of sync code."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request of async code."""


class Home(Protocol):
    """The parts of a sandbox that interception uses."""

    @property
    def id(self) -> str:
        """The id of the sandbox."""

    @property
    def strict_keys(self) -> bool:
        """Whether only issued keys are accepted."""

    @property
    def wire(self) -> Carrier:
        """The transport to its simulator."""

    def key(self, provider: str) -> str:
        """Return the sandbox's own key for a provider."""

    def holds(self, key: str) -> bool:
        """Return whether a key was issued for the sandbox."""


class Interception:
    """One active interception: it turns requests to providers into requests to a sandbox."""

    def __init__(self, home: Home) -> None:
        """Redirect requests to this sandbox."""
        self._home = home

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Send one request of sync code to the sandbox."""
        return self._home.wire.handle_request(self._led(request))

    async def ahandle(self, request: httpx.Request) -> httpx.Response:
        """Send one request of async code to the sandbox."""
        return await self._home.wire.handle_async_request(self._led(request))

    def _led(self, request: httpx.Request) -> httpx.Request:
        """Return the request with a key or a path of the sandbox; its host does not change.

        The sandbox's own key replaces the key of the code under test, so that URLs in responses
        look like the provider's. A request without a key, or with a key that `strict_keys`
        refuses, gets the sandbox's path instead. Then this sandbox, and not another one, refuses
        it.
        """
        provider = provider_hosts().get(bare(request.url.host))
        if provider is None:  # the simulator's own name
            return request
        auth = auth_of(provider)
        value = request.headers.get(auth.header)
        brought = {} if value is None else {auth.header.encode(): value.encode("latin-1")}
        found = presented(auth, brought)
        known = found.credential == "known"
        if known and self._home.holds(found.key):
            return request
        if known and not self._home.strict_keys:
            own = self._home.key(provider)
            request.headers[auth.header] = f"{auth.scheme} {own}" if auth.scheme else own
            return request
        if not request.url.raw_path.startswith(b"/sandbox/"):
            path = f"/sandbox/{self._home.id}".encode() + request.url.raw_path
            request.url = request.url.copy_with(raw_path=path)
        return request
