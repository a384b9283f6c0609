"""Find provider, dialect and sandbox of a request, from its path or its host name."""

from __future__ import annotations

import msgspec
from starlette.types import Scope

from upsim.core.bounded_cache import BoundedCache
from upsim.core.call import Headers
from upsim.core.hosts import bare
from upsim.core.url_builder import UrlBuilder
from upsim.engine.registry import Registry
from upsim.engine.sandbox import Sandbox
from upsim.web.allowed_hosts import MAX_HOST_LENGTH
from upsim.web.request_bodies import headers_of

ADMIN = "__sim"
"""The first part of the paths of the admin API, which is no provider."""
MAX_ORIGINS_KEPT = 4096
MAX_PATH_LENGTH = 512
"""Maximum characters of a path whose result is cached."""


class ParsedUrl(msgspec.Struct, frozen=True, gc=False):
    """A provider's own path, and the parts of the URL that come before the path.

    `provider` is empty for all other paths: `/media/`, pages, admin.
    """

    provider: str
    path: str
    sandbox: str | None = None
    dialect: str | None = None
    prefix: str = ""


Origin = tuple[str, bytes | None, str | None, str, str]
"""Scheme, host, sandbox in the path, prefix and sandbox of a request."""


class UrlParser:
    """A parser of URLs; `design.md` 3 defines the forms with a prefix and with a host."""

    def __init__(self, registry: Registry) -> None:
        """Parse URLs for the providers of a registry."""
        self._registry = registry
        self._hosts: dict[str, str] | None = None
        self._known: BoundedCache[str, ParsedUrl] = BoundedCache(MAX_ORIGINS_KEPT)
        self._dialects: dict[str, tuple[str, ...]] = {}
        self._origins: BoundedCache[Origin, UrlBuilder] = BoundedCache(MAX_ORIGINS_KEPT)

    def parse(self, scope: Scope) -> ParsedUrl:
        """Return the parsed URL of a request."""
        path: str = scope["path"]
        known = self._known.get(path)
        if known is not None:
            return known
        place = self._read(path, scope)
        if (
            scope["method"] == "POST"
            and place.provider
            and place.prefix
            and len(path) <= MAX_PATH_LENGTH
        ):
            self._known[path] = place
        return place

    def _read(self, path: str, scope: Scope) -> ParsedUrl:
        sandbox = None
        if path.startswith("/sandbox/"):
            sandbox, _, rest = path[9:].partition("/")
            path = f"/{rest}"
        first, _, rest = path[1:].partition("/")
        dialects: tuple[str, ...] = ()
        if first != ADMIN:
            dialects = self._dialects.get(first) or self._dialects_of(first)
        if dialects:
            dialect, _, own = rest.partition("/")
            if dialect in dialects:
                return ParsedUrl(first, f"/{own}", sandbox, dialect, f"/{first}/{dialect}")
            return ParsedUrl(first, f"/{rest}", sandbox, None, f"/{first}")
        if not path.startswith(("/media/", f"/{ADMIN}")):
            provider = self.provider_at(host_of(scope).partition(":")[0])
            if provider is not None:
                return ParsedUrl(provider, path, sandbox)
        return ParsedUrl("", path, sandbox)

    def origin(
        self, scope: Scope, headers: Headers, place: ParsedUrl, sandbox: Sandbox
    ) -> UrlBuilder:
        """Return a builder of URLs with the same prefix or host as the URL of the request."""
        host = headers.get(b"host")
        if host is not None and len(host) > MAX_HOST_LENGTH:
            host = None
        key = (scope["scheme"], host, place.sandbox, place.prefix, sandbox.id)
        found = self._origins.get(key)
        if found is None:
            base = self._registry.settings.public_url or f"{scope['scheme']}://{host_of(scope)}"
            named = "" if place.sandbox is None else f"/sandbox/{place.sandbox}"
            elsewhere = sandbox is not self._registry.default or named
            media = f"/sandbox/{sandbox.id}" if elsewhere else ""
            found = self._origins[key] = UrlBuilder(base, named, place.prefix, media)
        return found

    def _dialects_of(self, provider: str) -> tuple[str, ...]:
        """Return the dialects of a provider; empty for an unknown provider."""
        if provider not in self._registry.providers:
            return ()
        baseline = self._registry.library.baseline(provider).baseline
        found = self._dialects[provider] = baseline.dialects
        return found

    def provider_at(self, host: str) -> str | None:
        """Return the provider that has this host; None for other hosts."""
        if self._hosts is None:
            self._hosts = {
                name: provider
                for provider in self._registry.providers
                for name in self._registry.library.baseline(provider).baseline.hosts
            }
        return self._hosts.get(bare(host))


def host_of(scope: Scope) -> str:
    """Return the Host header; if it is missing or invalid, return the server's address."""
    host = headers_of(scope).get(b"host")
    if host is not None and len(host) <= MAX_HOST_LENGTH:
        return host.decode("latin-1")
    server = scope.get("server") or ("127.0.0.1", 80)
    return f"{server[0]}:{server[1]}"
