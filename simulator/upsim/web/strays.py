"""Requests that look like a provider's but lack its prefix: they are told what was meant."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.types import Receive, Scope, Send

from upsim.core.hosts import split_authority
from upsim.core.nearest import closest
from upsim.engine.registry import Registry
from upsim.web.admin.problems import problem, shown
from upsim.web.hosts import Observer, OwnHosts
from upsim.web.places import host_of
from upsim.web.routes import serving

NOT_FOUND = 404


@dataclass(slots=True)
class Strays:
    """Answers what is neither a page nor below a prefix, as far as a provider knows the path."""

    registry: Registry
    own: OwnHosts
    observers: list[Observer] = field(default_factory=list)

    async def answered(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Whether the request was a stray one, and was answered with 404."""
        method, path = scope["method"], scope["path"]
        meant = self.meant(method, path)
        if not meant or not self._is_own_host(host_of(scope)):
            return False
        addresses = " or ".join(meant)
        message = f"no provider is at {shown(path)}; did you mean {addresses}?"
        for observer in self.observers:
            observer(method, path, NOT_FOUND, message)
        await problem(NOT_FOUND, "not_found", message)(scope, receive, send)
        return True

    def meant(self, method: str, path: str) -> list[str]:
        """The paths below prefixes that may have been meant; empty where there are none."""
        providers = self.registry.providers
        if path.startswith("//"):  # a base URL that ends with a slash
            single = f"/{path.lstrip('/')}"
            return [_cut(single)] if single[1:].partition("/")[0] in providers else []
        first, _, rest = path[1:].partition("/")
        if not rest or first.startswith("__"):
            return []
        known = serving(providers, method, path, self.registry.models_of)
        exact = [name for name, takes in known.items() if takes]
        if known:
            return [f"/{name}{_cut(path)}" for name in exact or known]
        near = closest(first.lower(), providers)
        return [f"/{near}/{_cut(rest)}"] if near else []

    def _is_own_host(self, host: str) -> bool:
        """Whether the Host header is one of this server's: others are left to the admin rule."""
        named = split_authority(host)
        return named is not None and named[0] in self.own


def _cut(path: str) -> str:
    return path if len(path) <= 200 and path.isprintable() else "…"  # noqa: PLR2004 - readable
