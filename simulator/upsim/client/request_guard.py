"""The guard: where requests may go, and what they may cost. Every request passes it.

Only hosts of this machine are allowed (loopback, and names under `.test` and `.localhost`, which
the public name system never has), hosts named in `UPSIM_TRUSTED_HOSTS`, and, when it is asked for
and there is a cap, a provider's own. A paid request needs a reservation of the worst that it may
cost; what nobody can price is not sent while there is a cap.
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
from upsim.client.values import Job, Money, shown_url
from upsim.core.hosts import address_of, bare, port_flaw
from upsim.core.hosts import canonical as canonical  # noqa: PLC0414 - for the contracts
from upsim.core.hosts import is_loopback as is_loopback  # noqa: PLC0414 - for the contracts
from upsim.core.hosts import scheme_flaw as scheme_flaw  # noqa: PLC0414 - likewise
from upsim.core.hosts import split_authority as split_authority  # noqa: PLC0414 - likewise

TRUSTED_HOSTS = "UPSIM_TRUSTED_HOSTS"
_TEST_NAMES = ".test"
_WITH_HOST = re.compile(r"https?://[^/?#]", re.IGNORECASE)


def is_local(host: str) -> bool:
    """Whether a host is this machine, or a name that can be no public host's."""
    return is_loopback(host) or bare(host).endswith(_TEST_NAMES)


@dataclass(slots=True)
class Reservation:
    """What a paid request may cost at worst, held until it is known what it did cost."""

    budget: Budget
    worst: Money | None
    open: bool = True

    def settle(self, price: Money | None) -> None:
        """It was accepted at this price; the worst counts when the price is not told."""
        self._close(self.worst if price is None else price)

    def release(self) -> None:
        """It was not accepted, or the charge came back."""
        self._close(None)

    def _close(self, price: Money | None) -> None:
        if self.open:
            self.open = False
            self.budget.close(self.worst, price)


class Budget:
    """What was spent and what is reserved, in one unit, against a cap."""

    def __init__(self, cap: Money | None) -> None:
        """Without a cap everything is counted and nothing refused."""
        self.cap = cap
        self.spent = Decimal(0)
        self.reserved = Decimal(0)
        self._given_back: set[str] = set()
        self._lock = threading.Lock()

    def reserve(self, worst: Money | None) -> Reservation:
        """Hold the worst price of one request. Raises UnpricedError or CapReachedError."""
        if self.cap is not None:
            if worst is None:
                raise UnpricedError(
                    f"not sent: nobody can say what it would cost, and the cap is {self.cap}"
                )
            if worst.unit != self.cap.unit:
                raise UnpricedError(f"not sent: {worst} cannot be held against a cap of {self.cap}")
        with self._lock:
            amount = Decimal(0) if worst is None else worst.amount
            total = self.spent + self.reserved + amount
            if self.cap is not None and total > self.cap.amount:
                raise CapReachedError(
                    f"not sent: it may cost {worst}, and of the cap of {self.cap} "
                    f"{self.cap.amount - self.spent - self.reserved:f} are left"
                )
            self.reserved += amount
        return Reservation(self, worst)

    def close(self, worst: Money | None, price: Money | None) -> None:
        """Give up what was reserved, and count the price instead."""
        with self._lock:
            self.reserved -= Decimal(0) if worst is None else worst.amount
            self.spent += Decimal(0) if price is None else price.amount

    def give_back(self, job: Job) -> None:
        """The charge of a job came back; that counts once."""
        with self._lock:
            if job.price is not None and job.id not in self._given_back:
                self._given_back.add(job.id)
                self.spent -= job.price.amount


class RequestGuard:
    """Decides on each request, by where it goes and what it may cost."""

    def __init__(
        self,
        base_url: str,
        *,
        budget: Budget,
        live: bool,
        public_hosts: Callable[[], Collection[str]],
    ) -> None:
        """`public_hosts` are the providers' own, which no setting makes trusted.

        Raises UnsafeTargetError when this base URL may not be spoken to at all.
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
                f"{host} is not this machine. For a simulator elsewhere name it in "
                f"{TRUSTED_HOSTS}; for the provider itself give live=True and a cap"
            )
        if scheme != "https" and not self._at_home(host):
            raise UnsafeTargetError(f"a key goes over https only, not to {shown_url(base_url)}")
        self._host = host

    def admit(self, request: Request, reservation: Reservation | None) -> None:
        """Raise UnpricedError for what may cost money that nobody reserved."""
        if self.budget.cap is not None and not request.free and reservation is None:
            raise UnpricedError(
                f"not sent: {request.method} {shown_url(request.target)} may cost money, "
                "and no price was reserved for it"
            )

    def admit_link(self, url: str) -> None:
        """Raise UnsafeTargetError for a link that may not be followed (always without the key)."""
        host, scheme = _parts(url)
        home = self._at_home(host)
        if home and scheme in ("http", "https") and self._at_home(self._host):
            return
        if home or _is_inside(host):
            raise UnsafeTargetError(
                f"not followed: {shown_url(url)} is inside this network, and {self._host} is not"
            )
        if not (self._live and scheme == "https"):
            raise UnsafeTargetError(
                f"not followed: {shown_url(url)} is neither on this machine nor trusted"
                + ("" if self._live else ", and live was not asked for")
            )

    def _at_home(self, host: str) -> bool:
        if is_local(host):
            return True
        named = os.environ.get(TRUSTED_HOSTS, "").replace(",", " ").lower().split()
        return host in named and host not in self._public_hosts()


def _is_inside(host: str) -> bool:
    """Whether a host is an address of no public network."""
    address = address_of(host)
    return address is not None and not address.is_global


def has_host(url: str) -> bool:
    """Whether a text begins as an http or https URL with a host."""
    return _WITH_HOST.match(url) is not None


def check_scheme(url: str) -> None:
    """Raise UnsafeTargetError for what is no http or https URL with a host."""
    if not has_host(url):
        shown = shown_url(url).rpartition("@")[2]
        flaw = scheme_flaw(shown) or "is not http(s)://host[:port][/path]"
        raise UnsafeTargetError(f"{shown!r} {flaw}")


def _parts(url: str) -> tuple[str, str]:
    flaw = port_flaw(url)
    if flaw:
        raise UnsafeTargetError(flaw)
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").lower(), parts.scheme.lower()
    except ValueError:
        raise UnsafeTargetError(f"{url[:80]!r} is no address") from None
