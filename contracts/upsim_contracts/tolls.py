"""What requests that pass could cost: which of them are paid, and the most that each can take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from upsim_contracts.clips import Clip
from upsim_contracts.facts import Book, CallForm
from upsim_contracts.calling import Pricer
from upsim_contracts.spending import FREE_METHODS

_NAME = re.compile(r"\\\$[a-z_]+")


@dataclass(frozen=True, slots=True)
class Toll:
    """A request that costs, or could. `call` is empty for one that the book does not know."""

    call: str
    documented: Decimal | None
    worst: Decimal | None


class Tolls:
    """The price list of one provider, for requests of which only method and path are known."""

    def __init__(self, book: Book, price: Pricer) -> None:
        """Read the calls of the book."""
        self.book = book
        self._price = price
        self._calls = [(one, _pattern(one.path)) for one in book.calls.values()]
        self._free = [_free(text) for text in book.free]

    def call(self, method: str, path: str) -> CallForm | None:
        """The call of the book that a request is."""
        bare = path.partition("?")[0]
        found = (c for c, form in self._calls if c.method == method and form.fullmatch(bare))
        return next(found, None)

    def toll(self, method: str, path: str, clip: Clip | None, body: object) -> Toll | None:
        """What a request could cost; None for one that never costs anything.

        A request that is neither in the book nor known to be free counts as the dearest.
        """
        form, bare = self.call(method, path), path.partition("?")[0]
        known_free = any(m == method and form.fullmatch(bare) for m, form in self._free)
        if method in FREE_METHODS or known_free or (form is not None and not form.paid):
            return None
        if form is None:
            return Toll("", None, self._dearest())
        fields: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
        documented = None if clip is None else self._price(form.name, clip, fields)
        worst = self._price(form.name, None, fields) if clip is None else documented
        return Toll(form.name, documented, worst)

    def evidence(self, call: str) -> tuple[str, str]:
        """Where the price of a call is documented, and when that was read."""
        for fact in self.book.facts:
            names = {step.get("call") for step in fact.steps}
            amounts = [step["charged"] for step in fact.steps if "charged" in step]
            if call in names and any(str(amount) != "0" for amount in amounts):
                source = self.book.sources[fact.source]
                return f"{source.title}, {fact.place}, {source.read}", source.read
        return "no source given", ""

    def _dearest(self) -> Decimal | None:
        paid = [self._price(one.name, None, {}) for one in self.book.calls.values() if one.paid]
        return max((one for one in paid if one is not None), default=None)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(_NAME.sub("[^/]+", re.escape(path)))


def _free(text: str) -> tuple[str, re.Pattern[str]]:
    method, _, path = text.partition(" ")
    return method, _pattern(path)
