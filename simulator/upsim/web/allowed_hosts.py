"""The host names of a server. While it listens on loopback only, it refuses other names.

A web page can point its own host name at this machine (DNS rebinding). The browser then treats
this server as part of the site of that page. Only the `Host` header shows the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from upsim.core.bounded_cache import BoundedCache
from upsim.core.hosts import canonical, is_loopback, split_authority
from upsim.engine.settings import ServerSettings
from upsim.web.admin.problems import problem, shown
from upsim.web.resource_shortages import short

MAX_HOSTS_KEPT = 1_024
MAX_HOST_LENGTH = 300
"""Maximum bytes of a Host header that are read: 253 for the name, and a port."""
FOREIGN = 421
"""Misdirected Request (RFC 9110, 15.5.20), a status that no provider uses."""

Observer = Callable[[str, str, int, str], None]
"""Receives method, path, status and message of a refused request."""


class OwnHosts:
    """The names of one server: all spellings of loopback, its own name, and configured names."""

    def __init__(self, settings: ServerSettings) -> None:
        """Collect the names."""
        public = urlsplit(settings.public_url or "").netloc
        parts = map(split_authority, (*settings.hosts, public, *settings.allow_hosts))
        self._names = {canonical(part[0]) for part in parts if part is not None}

    def __contains__(self, name: str) -> bool:
        """Return whether a host name without a port belongs to this server."""
        return is_loopback(name) or canonical(name) in self._names


class Door(msgspec.Struct):
    """An application on a loopback socket that refuses requests for foreign hosts.

    `provider_at` returns the provider of a host.
    """

    app: ASGIApp
    own: OwnHosts
    provider_at: Callable[[str], str | None]
    base: str
    inner: Callable[[Scope, bytes], ASGIApp]
    observers: Sequence[Observer] = ()
    _accepted: BoundedCache[bytes, None] = msgspec.field(
        default_factory=lambda: BoundedCache(MAX_HOSTS_KEPT)
    )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or give it to the application."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)

    def fast_path(self, scope: Scope, body: bytes) -> ASGIApp:
        """Return the application for a complete request, or the refusal."""
        for name, value in scope["headers"]:
            if name == b"host":
                if value in self._accepted:
                    return self.inner(scope, body)
                break
        return self._refusal(scope) or self.inner(scope, body)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        for name, value in scope["headers"]:
            if name == b"host":
                return None if value in self._accepted else self._judged(scope, value)
        return None  # browsers always send one

    def _judged(self, scope: Scope, value: bytes) -> ASGIApp | None:
        host = value[:MAX_HOST_LENGTH].decode("latin-1")
        named = split_authority(host) if len(value) <= MAX_HOST_LENGTH else None
        try:
            known = not value or (named and (named[0] in self.own or self.provider_at(named[0])))
        except OSError as error:
            return short(scope, error)
        if known:
            self._accepted[value] = None
            return None
        message = f"this server does not accept the Host {shown(host)}: use {self.base}"
        if named:
            message += f", or start it with --allow-host {named[0]}"
        for observer in self.observers:
            observer(scope["method"], scope["path"], FOREIGN, message)
        return problem(FOREIGN, "foreign_host", message)
