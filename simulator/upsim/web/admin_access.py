"""The access rule of the admin API and the pages: local users and tools, or the token.

No web page that a developer visits can read or reset a sandbox. Requests that a browser sends
for another site are refused. Requests through a proxy, or with a rebound host name, are refused
too.
"""

from __future__ import annotations

from hmac import compare_digest

import msgspec
from starlette.types import Scope

from upsim.core.hosts import is_loopback, split_authority

PROXY_HEADERS = frozenset({b"forwarded", b"via", b"x-real-ip"})
SINGLE = frozenset(
    {b"authorization", b"content-length", b"content-type", b"host", b"origin", b"sec-fetch-site"}
)
PREFIX = "/__sim"
ADVICE = "; send Authorization: Bearer <admin token>; serve prints the token or takes --admin-token"
NO_PREFLIGHT = "the admin API refuses cross-origin requests of web pages, with or without a token"
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Refusal(msgspec.Struct, frozen=True):
    """The reason why a request to the admin API is refused."""

    status: int
    code: str
    message: str


class AdminRule(msgspec.Struct, frozen=True):
    """The rule of the admin API. `local` is true while the server is bound to loopback."""

    token: str
    local: bool

    def refusal(self, scope: Scope) -> Refusal | None:
        """Return why the request is refused; None if it is allowed."""
        headers = _read(scope)
        if headers is None:
            return Refusal(400, "ambiguous", "a header is repeated that may occur only once")
        if _is_preflight(scope, headers):
            return Refusal(403, "foreign_page", NO_PREFLIGHT)
        if self._has_token(headers):
            return _not_json(scope, headers)
        doubt = self._doubt(scope, headers)
        if doubt is None:
            return _not_json(scope, headers)
        return Refusal(401, "token_required", f"{doubt}; {_token_flaw(headers)}{ADVICE}")

    def has_wrong_token(self, scope: Scope) -> bool:
        """Return whether an admin request has a wrong bearer token."""
        headers = (_read(scope) or {}) if scope["path"].startswith(PREFIX) else {}
        scheme = headers.get(b"authorization", b"").partition(b" ")[0].lower()
        return scheme == b"bearer" and not self._has_token(headers)

    def _has_token(self, headers: dict[bytes, bytes]) -> bool:
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        same = compare_digest(given.strip(), self.token.encode())
        return bool(self.token) and scheme.lower() == b"bearer" and same

    def _doubt(self, scope: Scope, headers: dict[bytes, bytes]) -> str | None:
        host = headers.get(b"host", b"").decode("latin-1")
        named = split_authority(host)
        if not self.local:
            return "this server is not bound to loopback only"
        if named is None or not is_loopback(named[0]):
            return f"the Host {host[:80]!r} is not a loopback name such as localhost"
        if any(h in PROXY_HEADERS or h.startswith(b"x-forwarded") for h in headers):
            return "the request came through a proxy"
        return _stranger(scope, headers)


def page_refusal(scope: Scope) -> Refusal | None:
    """Return why a web page may not send a request that other programs may send; None if it may."""
    headers = dict(scope["headers"])
    doubt = _stranger(scope, headers)
    return None if doubt is None else Refusal(403, "foreign_page", doubt)


def _stranger(scope: Scope, headers: dict[bytes, bytes]) -> str | None:
    """Return the reason if a request comes from a foreign page; otherwise None."""
    host = headers.get(b"host", b"").decode("latin-1")
    origin = headers.get(b"origin")
    if origin is not None and origin.decode("latin-1") != f"{scope['scheme']}://{host}":
        return "the request comes from a page of another origin"
    if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
        return "the request comes from a page of another site"
    return None


def _is_preflight(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Return whether this is a browser's preflight for another origin (it cannot have a token)."""
    asks = scope["method"] == "OPTIONS" and b"origin" in headers
    return asks and _stranger(scope, headers) is not None


def _token_flaw(headers: dict[bytes, bytes]) -> str:
    """Return what is wrong with the token; the text contains neither the token nor its scheme."""
    given = headers.get(b"authorization")
    if given is None:
        return "no Authorization header came"
    scheme, _, token = given.partition(b" ")
    if scheme.lower() != b"bearer":
        return "the Authorization header has another scheme than Bearer"
    return "the bearer token is not this server's" if token.strip() else "no token follows Bearer"


def _read(scope: Scope) -> dict[bytes, bytes] | None:
    """Return the headers by name; None if a header that the rule depends on is repeated."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in SINGLE and name in headers:
            return None
        headers[name] = value
    return headers


def _not_json(scope: Scope, headers: dict[bytes, bytes]) -> Refusal | None:
    if scope["method"] not in WRITES:
        return None
    kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    length = headers.get(b"content-length", b"0")
    empty = length == b"0" and b"transfer-encoding" not in headers
    if kind == b"application/json" or (not kind and empty):
        return None
    message = "a write must be JSON: send Content-Type: application/json"
    return Refusal(415, "not_json", message)
