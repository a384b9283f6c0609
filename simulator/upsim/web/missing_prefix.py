"""Requests that look like a provider's but have no prefix: the 404 names the right URL."""

from __future__ import annotations

import msgspec
from starlette.types import Receive, Scope, Send

from upsim.core.hosts import split_authority
from upsim.core.nearest_names import closest
from upsim.engine.registry import Registry
from upsim.web import near_paths
from upsim.web.admin.problems import problem, shown
from upsim.web.allowed_hosts import Observer, OwnHosts
from upsim.web.routes import serving
from upsim.web.url_parsing import host_of

NOT_FOUND = 404
MAX_SHOWN_LENGTH = 200
"""Maximum characters of a path that a suggestion repeats."""


class MissingPrefix(msgspec.Struct):
    """An application for paths that a provider has, but that were sent without its prefix."""

    registry: Registry
    own: OwnHosts
    observers: list[Observer] = msgspec.field(default_factory=list)

    def hint(self, method: str, path: str, above: str = "") -> str:
        """Return a semicolon and the URLs that were probably meant; empty if none is similar."""
        meant = [f"{above}{one}" for one in self.suggestions(method, path)]
        return f"; did you mean {' or '.join(meant)}?" if meant else ""

    async def respond(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Respond with 404 if the request lacks a provider's prefix; return whether it did."""
        method, path = scope["method"], scope["path"]
        hint = self.hint(method, path)
        if not hint or not self._is_own_host(host_of(scope)):
            return False
        message = f"no provider is at {shown(path)}{hint}"
        for observer in self.observers:
            observer(method, path, NOT_FOUND, message)
        await problem(NOT_FOUND, "not_found", message)(scope, receive, send)
        return True

    def suggestions(self, method: str, path: str) -> list[str]:
        """Return the URLs with prefix that were probably meant; empty if there are none."""
        providers = self.registry.providers
        if path.startswith("//"):  # a base URL with a trailing slash
            path = f"/{path.lstrip('/')}"
            if path[1:].partition("/")[0] in providers:
                return [_cut(path)]
        first = path[1:].partition("/")[0]
        if not first or first.startswith("__"):
            return []
        baselines = {name: self.registry.library.baseline(name).baseline for name in providers}
        hosts = {host: name for name, one in baselines.items() for host in one.hosts}
        host, path = near_paths.pasted(path, hosts)
        named = [hosts[host]] if host in hosts else [*providers]
        known = serving(
            {name: providers[name] for name in named}, method, path, self.registry.models_of
        )
        exact = [name for name, takes in known.items() if takes]
        if known:
            return [f"/{name}{_cut(path)}" for name in exact or known]
        parts = [near_paths.parts_of(providers[name], one) for name, one in baselines.items()]
        is_part = near_paths.is_base(f"/{first}") or any(first in some for some in parts)
        misspelt = "" if is_part else closest(first.lower(), providers)
        if misspelt and not host:
            return [_cut(f"/{misspelt}{path[1 + len(first) :]}", f"/{misspelt}/")]
        rated = {
            name: near_paths.nearest(providers[name], baselines[name], method, path)
            for name in named
        }
        best = max(rating for rating, _ in rated.values())
        return [
            f"/{name}{near}" for name, (rating, near) in rated.items() if near and rating == best
        ]

    def _is_own_host(self, host: str) -> bool:
        """Return whether the Host header names this server; the admin rule handles other hosts."""
        named = split_authority(host)
        return named is not None and named[0] in self.own


def _cut(path: str, start: str = "/") -> str:
    return path if len(path) <= MAX_SHOWN_LENGTH and path.isprintable() else f"{start}…"
