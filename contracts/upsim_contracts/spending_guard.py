"""Spending guard: a request that could cost money is sent only after its price was reserved.

It is part of the HTTP transport, so that tests, retries and redirects cannot bypass it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

import httpx

from upsim_contracts.amounts import counted
from upsim_contracts.exceptions import BudgetReachedError, UnpricedRequestError

RESERVED = "upsim.reserved"
"""The request extension by which a sender shows what it has set aside."""
FREE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class PriceDifference:
    """A request with a charge that differs from the documented price."""

    what: str
    documented: Decimal
    actual: Decimal


class SpendingBudget:
    """The spending limit, in the provider's unit. With `cap` None everything is allowed.

    `spent` is the amount known to be spent, `reserved` the highest cost of open requests.
    """

    def __init__(self, cap: Decimal | None, unit: str = "") -> None:
        """Start with nothing spent."""
        self.cap = cap
        self.unit = unit
        self.spent = Decimal(0)
        self.reserved = Decimal(0)
        self.predicted = Decimal(0)
        self.differences: list[PriceDifference] = []
        self.most_expensive = Decimal(1)
        self._counted = Decimal(0)

    @property
    def left(self) -> Decimal | None:
        """Return the amount that can still be reserved; None without a cap."""
        return None if self.cap is None else self.cap - self._counted - self.reserved

    @contextmanager
    def reservation(self, amount: Decimal | None, what: str, why: str = "") -> Iterator[None]:
        """Reserve an amount while a request may cost it.

        Raises SpendingError before anything is sent. `why` explains the amount, or why it is
        unknown. If the target once charged more than documented, the reserved amounts grow by
        that difference from then on.
        """
        if self.cap is not None and amount is None:
            end = f": {why}" if why else ", so it was not sent"
            raise UnpricedRequestError(f"the cost of {what} is unknown{end}")
        held = (amount or Decimal(0)) * self.most_expensive
        if self.left is not None and held > self.left:
            left = f"of the cap of {self.cap} {self.left} are left"
            shown = f"{what} ({why})" if why else what
            raise BudgetReachedError(f"{shown} could cost {counted(held, self.unit)}; {left}")
        self.reserved += held
        try:
            yield
        finally:
            self.reserved -= held

    def settle(self, what: str, documented: Decimal, actual: Decimal) -> None:
        """Record the actual cost of a request beside its documented cost.

        At least the documented cost counts against the cap, because a balance may change late.
        """
        self.spent += actual
        self._counted += max(documented, actual, Decimal(0))
        self.predicted += documented
        if actual != documented:
            self.differences.append(PriceDifference(what, documented, actual))
        if documented > 0:
            self.most_expensive = max(self.most_expensive, actual / documented)

    def refund(self, amount: Decimal) -> None:
        """Record a refund of an earlier charge; the amount may be spent again."""
        self.spent -= amount
        self.predicted -= amount
        self._counted -= amount


class GuardedTransport(httpx.BaseTransport):
    """Sends requests that are free, and requests whose price was reserved."""

    def __init__(self, inner: httpx.BaseTransport, purse: SpendingBudget) -> None:
        """Guard the transport `inner`."""
        self._inner = inner
        self._purse = purse

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, or raise UnpricedRequestError."""
        guarded = self._purse.cap is not None and request.method not in FREE_METHODS
        if guarded and RESERVED not in request.extensions:
            raise UnpricedRequestError(
                f"{request.method} {request.url.path}: no budget was reserved for this request"
            )
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close the inner transport."""
        self._inner.close()
