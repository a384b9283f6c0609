"""The patches of HTTP libraries: applied while an interception is active, then removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec

import httpx

from upsim.client.http.connections import SyncTransport
from upsim.interception.active_interceptions import interception_of
from upsim.untrusted_connections import AsyncTransport

__tracebackhide__ = True  # for pytest: a failing test shows its own line, not ours
Change = tuple[object, str, object]
_undo: list[Change] = []
OTHERS = {
    "requests": "upsim.interception.for_requests",
    "aiohttp": "upsim.interception.for_aiohttp",
}
"""Optional libraries, each with the module that knows what to patch in it."""


def patch() -> None:
    """Patch the libraries that are installed."""
    for owner, name, new in _changes():
        _undo.append((owner, name, getattr(owner, name)))
        setattr(owner, name, new)


def unpatch() -> None:
    """Remove all patches."""
    while _undo:
        owner, name, old = _undo.pop()
        setattr(owner, name, old)


def _changes() -> Iterator[Change]:
    for sync in (httpx.HTTPTransport, SyncTransport):
        yield sync, "handle_request", _sync(sync.handle_request)
    for own in (httpx.AsyncHTTPTransport, AsyncTransport):
        yield own, "handle_async_request", _async(own.handle_async_request)
    for library, module in OTHERS.items():
        if find_spec(library) is not None:
            yield from import_module(module).changes()


def _sync(original: Callable[..., httpx.Response]) -> Callable[..., httpx.Response]:
    def handle_request(self: httpx.BaseTransport, request: httpx.Request) -> httpx.Response:
        found = interception_of(request.url.host)
        return original(self, request) if found is None else found.handle(_copy(request))

    return handle_request


def _async(original: Callable[..., object]) -> Callable[..., object]:
    async def handle_async_request(
        self: httpx.AsyncBaseTransport, request: httpx.Request
    ) -> httpx.Response:
        found = interception_of(request.url.host)
        if found is None:
            return await original(self, request)  # type: ignore[no-any-return, misc]  # as httpx's
        return await found.ahandle(_copy(request))

    return handle_async_request


def _copy(request: httpx.Request) -> httpx.Request:
    """Return a copy of the request; the user's own request keeps its key and path."""
    return httpx.Request(
        request.method,
        request.url,
        headers=request.headers,
        stream=request.stream,
        extensions=request.extensions,
    )
