"""Choose the upstream of a recording, and rewrite its links for the client.

One upstream, named at the start: a loopback host, a host of `UPSIM_TRUSTED_HOSTS`, or the
provider itself when a cap is given. Links of its responses that lead back to it are rewritten, so
that the next requests pass the recording too; links to other hosts are left unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from threading import Lock
from typing import TypeVar
from urllib.parse import urlsplit

from upsim.client.request_guard import is_loopback, scheme_flaw, split_authority
from upsim_contracts.cassettes.text_windows import substituted
from upsim_contracts.documents.openapi import (
    default_dialect,
    dialects,
    document,
    further_hosts,
    parts,
)
from upsim_contracts.exceptions import UsageError
from upsim_contracts.nearest import hint, near
from upsim_contracts.provider_urls import check_dialect, dialects_of

LIVE = "live"
MAX_KEPT = 10_000
"""Links that are remembered: of answers, of requests, of uploads and of videos."""
MAX_KEPT_LENGTH = 8192
"""Characters of a link that is remembered."""
T = TypeVar("T")
_REMEMBERING = Lock()


@dataclass(frozen=True, slots=True)
class Upstream:
    """A provider at an address. `base` is where its own paths begin; `hosts` are further ones."""

    provider: str
    dialect: str
    base: str
    hosts: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        found = urlsplit(self.base)
        return f"{found.scheme}://{found.netloc}"

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.base).netloc

    def base_of(self, path: str) -> str:
        """Return the base URL of a path: a provider can have a separate host for uploads."""
        bare = path.partition("?")[0]
        return next((url for start, url in self.hosts.items() if bare == start), self.base)


def upstream(
    url: str,
    *,
    provider: str | None,
    dialect: str | None,
    known: Iterable[str],
    cap: Decimal | None,
    trusted: str,
) -> Upstream:
    """Return the named upstream. Raises UsageError if its host is not trusted."""
    found = urlsplit(url)
    host = found.hostname
    if found.scheme not in ("http", "https") or not host or found.username or found.query:
        flaw = scheme_flaw(url) or "is no URL such as http://127.0.0.1:4747/venice"
        raise UsageError(f"--upstream {url!r} {flaw}")
    names, live = list(known), live_hosts(known)
    steps = [step for step in found.path.split("/") if step]
    told = provider or live.get(host) or next((step for step in steps if step in names), None)
    misspelt = next((one for step in steps if (one := near(step, names)) not in ("", step)), "")
    if misspelt and not any(step in names for step in steps):
        raise UsageError(
            f"--upstream {url} names no provider; did you mean /{misspelt} in its path?"
        )
    if told is None:
        raise UsageError(f"say by --provider whose API {url} is: one of {', '.join(names)}")
    if told not in names:
        raise UsageError(f"--provider {told!r} is not known; {hint(told, names)}")
    check_dialect(told, dialect or "", "--dialect")
    for step in steps[steps.index(told) + 1 :] if told in steps else ():
        if near(step, dialects_of(told)):
            check_dialect(told, step, f"--upstream {url}")
    _guard(url, host, live, cap, trusted)
    spoken = dialect or _dialect(told, steps, is_live=host in live)
    hosts = further_hosts(told) if host in live else {}
    return Upstream(told, spoken, url.rstrip("/"), hosts)


def is_named(host: str, names: frozenset[str] | None) -> bool:
    """Whether a Host header is an address, and one of `names` or of loopback if there are any."""
    found = split_authority(host)
    return found is not None and (names is None or host in names or is_loopback(found[0]))


def live_hosts(known: Iterable[str]) -> dict[str, str]:
    """The hosts of the providers themselves, by their documents."""
    found: dict[str, str] = {}
    for provider in known:
        for part in parts(provider):
            for server in document(provider, part=part).get("servers", ()):
                found[urlsplit(server["url"]).hostname or ""] = provider
    return found


class Links:
    """The links of responses, as the client gets them and as they were."""

    def __init__(self, target: Upstream) -> None:
        """Start without any link."""
        self._target = target
        self._own = re.compile(
            re.escape(target.origin.encode()) + rb"(?![0-9])(?:\\?/[^\"'\s<>]*)?"
        )
        self.files: dict[str, None] = {}
        """Paths of the upstream outside the provider's own that its newest answers led to."""
        self.sent: dict[str, None] = {}
        """Links that the client sent last; responses repeat them unchanged."""

    def told(self, text: bytes, proxy: str) -> bytes:
        """A text of the upstream in which its own links lead to the recording at `proxy`."""

        def told(found: re.Match[bytes]) -> bytes:
            link = _read(found).replace("\\/", "/")
            return found[0] if link in self.sent else _written(self._led(link, proxy))

        return substituted(self._own, told, text)

    def _led(self, link: str, proxy: str) -> str:
        """Return a link of the upstream as the client gets it."""
        base = self._target.base
        if link == base or link.startswith((f"{base}/", f"{base}?")):
            return proxy + link.removeprefix(base)
        rest = link.removeprefix(self._target.origin)
        remember(self.files, rest.partition("?")[0], None)
        return _origin(proxy) + rest

    def meant(self, text: bytes, proxy: str) -> bytes:
        """A text of the caller in which links to the recording are those of the upstream again."""
        origin = _origin(proxy)
        mine = re.compile(re.escape(_written(origin)) + rb"[^\"'\s<>\\]*")

        def meant(found: re.Match[bytes]) -> bytes:
            link = _read(found)
            rest = link.removeprefix(origin)
            if rest.partition("?")[0] in self.files:
                return _written(self._target.origin + rest)
            if link.startswith(proxy):
                return _written(self._target.base + link.removeprefix(proxy))
            return found[0]

        return substituted(mine, meant, text)


def remember(kept: dict[str, T], key: str, value: T, most: int = MAX_KEPT) -> None:
    """Keep a value as the newest; the oldest goes where there are more than `most`.

    Nothing is kept for a key of more than MAX_KEPT_LENGTH characters. Threads may share what is
    kept.
    """
    if len(key) > MAX_KEPT_LENGTH:
        return
    with _REMEMBERING:
        kept.pop(key, None)
        kept[key] = value
        if len(kept) > most:
            del kept[next(iter(kept))]


def _guard(url: str, host: str, live: dict[str, str], cap: Decimal | None, trusted: str) -> None:
    if host in live:
        if cap is None:
            raise UsageError(f"{host} costs money: give --cap, the most that may be spent")
        if not url.startswith("https://"):
            raise UsageError(f"{url} would send keys in the clear: write https://{host}")
    elif not is_loopback(host) and host not in trusted.split(","):
        raise UsageError(
            f"{host} is neither loopback, nor in UPSIM_TRUSTED_HOSTS, nor one of the providers "
            f"({', '.join(sorted(live))})"
        )


def _dialect(provider: str, steps: list[str], *, is_live: bool) -> str:
    known = dialects(provider)
    spoken = next((step for step in reversed(steps) if step in known), default_dialect(provider))
    return LIVE if is_live and LIVE in known else spoken


def _read(found: re.Match[bytes]) -> str:
    """Return a found link as text, for any bytes in it."""
    return found[0].decode("utf-8", "surrogateescape")


def _written(link: str) -> bytes:
    return link.encode("utf-8", "surrogateescape")


def _origin(url: str) -> str:
    found = urlsplit(url)
    return f"{found.scheme}://{found.netloc}"
