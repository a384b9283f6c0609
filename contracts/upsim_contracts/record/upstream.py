"""Choose the upstream of a recording, named at the start.

It is a loopback host, a host of `UPSIM_TRUSTED_HOSTS`, or, with a cap, the provider itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import urlsplit

from upsim.client.request_guard import is_loopback, scheme_flaw, split_authority
from upsim_contracts.documents.openapi import (
    default_dialect,
    dialects,
    document,
    further_hosts,
    parts,
)
from upsim_contracts.exceptions import UsageError
from upsim_contracts.provider_urls import check_dialect, dialects_of
from upsim_contracts.suggestions import hint, near

LIVE = "live"


@dataclass(frozen=True, slots=True)
class Upstream:
    """A provider at a URL. `base` is the start of its own paths; `hosts` are further hosts."""

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
    """Return whether a Host header is a valid address and an allowed name, if names are limited.

    Loopback addresses are always allowed.
    """
    found = split_authority(host)
    return found is not None and (names is None or host in names or is_loopback(found[0]))


def live_hosts(known: Iterable[str]) -> dict[str, str]:
    """Return the live hosts of all providers, from their documents."""
    found: dict[str, str] = {}
    for provider in known:
        for part in parts(provider):
            for server in document(provider, part=part).get("servers", ()):
                found[urlsplit(server["url"]).hostname or ""] = provider
    return found


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
