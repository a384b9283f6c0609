"""The guard of the client: it checks the target and the possible cost of every request.

Allowed hosts are this machine (loopback, and names under `.test` and `.localhost`, which the public
DNS never contains), the hosts in `UPSIM_TRUSTED_HOSTS`, and, with `live=True` and a cap, a
provider's own host. A paid request needs a reservation of its highest possible cost. If that cost
is unknown and there is a cap, the request is not sent.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlsplit

from upsim.client.adapter import Request
from upsim.client.exceptions import CapReachedError, UnpricedError, UnsafeTargetError
from upsim.client.hidden_texts import shown_url
from upsim.client.results import Job, Money
from upsim.core.hosts import address_of, bare
from upsim.core.hosts import canonical as canonical  # noqa: PLC0414 - for the contracts
from upsim.core.hosts import is_loopback as is_loopback  # noqa: PLC0414 - for the contracts
from upsim.core.hosts import split_authority as split_authority  # noqa: PLC0414 - likewise
from upsim.core.url_flaws import port_flaw, url_flaw
from upsim.core.url_flaws import scheme_flaw as scheme_flaw  # noqa: PLC0414 - likewise

TRUSTED_HOSTS = "UPSIM_TRUSTED_HOSTS"
_TEST_NAMES = ".test"
_WITH_HOST = re.compile(r"https?://[^/?#]", re.IGNORECASE)


def is_local(host: str) -> bool:
    """Return whether a host is this machine, or has a name that public DNS never contains."""
    return is_loopback(host) or bare(host).endswith(_TEST_NAMES)


@dataclass(slots=True)
class Reservation:
    """The highest possible cost of a paid request, reserved until its real cost is known."""

    budget: Budget
    worst: Money | None
    open: bool = True

    def settle(self, price: Money | None) -> None:
        """Record that the request was accepted at this price; None means the highest cost."""
        self._close(self.worst if price is None else price)

    def release(self) -> None:
        """Release the reserved amount, after a refusal of the request or a refund of its charge."""
        self._close(None)

    def _close(self, price: Money | None) -> None:
        if self.open:
            self.open = False
            self.budget.close(self.worst, price)


class Budget:
    """The spent and the reserved amount in one unit, limited by a cap."""

    def __init__(self, cap: Money | None) -> None:
        """Keep the cap. If `cap` is None, amounts are counted but no request is refused."""
        self.cap = cap
        self.spent = Decimal(0)
        self.reserved = Decimal(0)
        self._given_back: set[str] = set()
        self._lock = threading.Lock()

    def reserve(self, worst: Money | None) -> Reservation:
        """Reserve the highest cost of a request. Raises UnpricedError or CapReachedError."""
        if self.cap is not None:
            if worst is None:
                raise UnpricedError(
                    f"not sent: the price is unknown, so the cap of {self.cap} cannot be guaranteed"
                )
            if worst.unit != self.cap.unit:
                raise UnpricedError(
                    f"not sent: {worst} cannot be compared with a cap of {self.cap}"
                )
        with self._lock:
            amount = Decimal(0) if worst is None else worst.amount
            total = self.spent + self.reserved + amount
            if self.cap is not None and total > self.cap.amount:
                raise CapReachedError(
                    f"not sent: it may cost {worst}; of the cap of {self.cap} only "
                    f"{self.cap.amount - self.spent - self.reserved:f} are left"
                )
            self.reserved += amount
        return Reservation(self, worst)

    def close(self, worst: Money | None, price: Money | None) -> None:
        """Release a reservation and count the price instead."""
        with self._lock:
            self.reserved -= Decimal(0) if worst is None else worst.amount
            self.spent += Decimal(0) if price is None else price.amount

    def give_back(self, job: Job) -> None:
        """Subtract the refunded charge of a job, at most once per job."""
        with self._lock:
            if job.price is not None and job.id not in self._given_back:
                self._given_back.add(job.id)
                self.spent -= job.price.amount


class RequestGuard:
    """Checks the target and the possible cost of each request."""

    def __init__(
        self,
        base_url: str,
        *,
        budget: Budget,
        live: bool,
        public_hosts: Callable[[], Collection[str]],
    ) -> None:
        """Keep the settings; `public_hosts` are the providers' own hosts, which are never trusted.

        Raises UnsafeTargetError if the base URL is not allowed at all.
        """
        self.budget = budget
        self._live = live
        self._public_hosts = public_hosts
        check_scheme(base_url)
        host, scheme = _parts(base_url)
        if live and budget.cap is None:
            raise UnsafeTargetError("live=True needs a cap: connect(…, live=True, cap=…)")
        if not (live or self._at_home(host)):
            raise UnsafeTargetError(
                f"{host} is not this machine. Name a simulator elsewhere in "
                f"{TRUSTED_HOSTS}; for the provider itself give live=True and a cap"
            )
        if scheme != "https" and not self._at_home(host):
            raise UnsafeTargetError(f"a key is sent over https only, not to {shown_url(base_url)}")
        self._host = host

    def admit(self, request: Request, reservation: Reservation | None) -> None:
        """Check a request. Raises UnpricedError if it may cost money and has no reservation."""
        if self.budget.cap is not None and not request.free and reservation is None:
            raise UnpricedError(
                f"not sent: {request.method} {shown_url(request.target)} may cost money, "
                "and no cost was reserved for it"
            )

    def admit_link(self, url: str) -> None:
        """Raise UnsafeTargetError for a link that may not be followed (always without the key)."""
        host, scheme = _parts(url)
        home = self._at_home(host)
        if home and scheme in ("http", "https") and self._at_home(self._host):
            return
        if home or _is_inside(host):
            raise UnsafeTargetError(
                f"not followed: {shown_url(url)} is inside this network, but {self._host} is not"
            )
        if not (self._live and scheme == "https"):
            raise UnsafeTargetError(
                f"not followed: {shown_url(url)} is neither on this machine nor trusted"
                + ("" if self._live else ", and live is not set")
            )

    def _at_home(self, host: str) -> bool:
        if is_local(host):
            return True
        named = os.environ.get(TRUSTED_HOSTS, "").replace(",", " ").lower().split()
        return host in named and host not in self._public_hosts()


def _is_inside(host: str) -> bool:
    """Return whether a host is an IP address that is not public."""
    address = address_of(host)
    return address is not None and not address.is_global


def has_host(url: str) -> bool:
    """Return whether a text begins as an http or https URL with a host."""
    return _WITH_HOST.match(url) is not None


def check_scheme(url: str) -> None:
    """Raise UnsafeTargetError if the text is not an http or https URL with a host."""
    if not has_host(url):
        shown = shown_url(url).rpartition("@")[2]
        flaw = scheme_flaw(shown) or "is not http(s)://host[:port][/path]"
        raise UnsafeTargetError(f"{shown!r} {flaw}")


def _parts(url: str) -> tuple[str, str]:
    flaw = url_flaw(url)
    if flaw:
        raise UnsafeTargetError(f"{shown_url(url)[:80]!r} {flaw}")
    flaw = port_flaw(url)
    if flaw:
        raise UnsafeTargetError(flaw)
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.scheme.lower()
