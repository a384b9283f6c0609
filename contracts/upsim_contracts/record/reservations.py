"""Budget of a recording: the price of a request is reserved, then settled by the balance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal, InvalidOperation

import httpx

from upsim_contracts.cassettes.bounded_json import has_repeats, parsed
from upsim_contracts.cassettes.cassette import Charge, clip_of
from upsim_contracts.cassettes.cassette_lines import bounded
from upsim_contracts.exceptions import SpendingError
from upsim_contracts.expected_responses import at
from upsim_contracts.record.body_memory import MAX_READ
from upsim_contracts.record.request_bodies import in_turns, is_plain
from upsim_contracts.record.video_measuring import KnownVideos
from upsim_contracts.request_costs import CostTable, RequestCost
from upsim_contracts.spending_guard import SpendingBudget

MAX_PLACES = 30
MAX_BYTES = 2**20
"""The longest balance that is read."""
SECONDS = 20
"""Seconds that reading a balance may take; no paid request is sent during that time."""
_REFUSED = range(400, 500)
_SUCCESS = range(200, 300)


class Reservations:
    """The reserved and the spent amounts of a recording's requests."""

    def __init__(
        self,
        costs: CostTable,
        purse: SpendingBudget,
        http: httpx.AsyncClient,
        base: str,
        *,
        balances: bool,
    ) -> None:
        """Read balances at `base` with the client's own key, unless switched off."""
        self.costs = costs
        self.purse = purse
        self.turn = asyncio.Lock()
        """Lets one paid request run at a time, so that each change of the balance has one cause."""
        self.auth = frozenset(name.lower() for name in costs.book.auth)
        self._http = http
        self._base = base
        self._balances = balances and costs.book.balance is not None

    def toll(self, method: str, path: str, sighted: KnownVideos, body: bytes) -> RequestCost | None:
        """Return the possible cost of a request; None if it is free. Slow for long bodies."""
        document = parsed(body)
        clips = [clip_of(seen) for seen in sighted.each]
        fields = document[0] if document else None
        certain = sighted.all_known and isinstance(fields, Mapping) and not has_repeats(body)
        return self.costs.toll(method, path, clips, fields, certain=certain)

    def unread(self, method: str, path: str) -> str:
        """Return why a request with a body too long to read is not sent; empty if it is sent.

        Its price is unknown, so it is sent only without a cap.
        """
        toll = self.costs.toll(method, path, (), None, certain=False)
        if toll is None:
            return ""
        what = f"{method} {path.partition('?')[0]} with a body of more than {MAX_READ} bytes"
        try:
            with self.purse.reservation(None, what):
                return ""
        except SpendingError as error:
            return str(error)

    @asynccontextmanager
    async def charged(
        self, toll: RequestCost, method: str, path: str, auth: Mapping[str, str]
    ) -> AsyncIterator[PaidCall]:
        """Reserve the price while a request is open.

        Raises SpendingError before anything is sent.
        """
        what = f"{method} {path.partition('?')[0]}"
        with self.purse.reservation(toll.worst, what, toll.why):
            paid = PaidCall(self, toll, what, auth)
            await paid.open()
            try:
                yield paid
            finally:
                paid.close()

    async def balance(self, auth: Mapping[str, str]) -> Decimal | None:
        """Return the balance of the client's account; None if it cannot be read."""
        if not self._balances or self.costs.book.balance is None:
            return None
        name, place = self.costs.book.balance
        form = self.costs.book.calls[name]
        headers = {**auth, "accept-encoding": "identity"}
        try:
            url = self._base + form.path
            async with (
                asyncio.timeout(SECONDS),
                self._http.stream(form.method, url, headers=headers) as answer,
            ):
                content = await _content(answer)
        except (httpx.HTTPError, TimeoutError):
            return None
        document = parsed(content)
        seen = {"headers": dict(answer.headers), "json": document[0] if document else None}
        found = at(seen, place)
        if not answer.is_success or not isinstance(found, str | int | Decimal):
            return None
        return _amount(str(found))


async def _content(answer: httpx.Response) -> bytes:
    """Return an uncompressed body; empty bytes if the body is compressed or too long."""
    if not is_plain(answer.headers.get("content-encoding", "")):
        return b""
    content = bytearray()
    async for chunk in in_turns(answer.aiter_raw()):
        content += chunk
        if len(content) > MAX_BYTES:
            return b""
    return bytes(content)


def _amount(text: str) -> Decimal | None:
    """Return a balance as an amount; None for a text without one."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    usual = found.is_finite() and abs(found.adjusted()) <= MAX_PLACES
    return found if usual else None


def _writable(amount: Decimal | None) -> Decimal | None:
    """Return an amount that a cassette can hold; None if it is too large or too small."""
    try:
        bounded(amount or Decimal(0))
    except ValueError:
        return None
    return amount


class PaidCall:
    """One paid request. Until it is settled, the whole reserved amount counts as spent."""

    def __init__(
        self, charging: Reservations, toll: RequestCost, what: str, auth: Mapping[str, str]
    ) -> None:
        """Prepare the paid request; nothing is sent yet."""
        self.toll = toll
        self._charging = charging
        self._what = what
        self._auth = auth
        self._before: Decimal | None = None
        self._after: Decimal | None = None
        self._actual: Decimal | None = None
        self._settled = False

    @property
    def charge(self) -> Charge:
        """Return the known price and charge of the request."""
        unit = self._charging.purse.unit
        amounts = (self.toll.documented, self._actual, self._after)
        return Charge(unit, *map(_writable, amounts))

    async def open(self) -> None:
        """Read the balance before the request."""
        self._before = await self._charging.balance(self._auth)

    async def settle(self, status: int) -> None:
        """Settle the cost by the balance, else by the price; a refused request costs nothing.

        A lost response and a server error count as the most expensive job, unless the balance shows
        another amount.
        """
        if self._before is not None:
            self._after = await self._charging.balance(self._auth)
        if self._before is not None and self._after is not None:
            self._actual = self._before - self._after
        documented = Decimal(0) if status in _REFUSED else self._due(status)
        self._book(documented, documented if self._actual is None else self._actual)

    def _due(self, status: int) -> Decimal:
        """Return the documented cost; if it is unknown, the loss of the balance for a success.

        An unchanged balance may be updated later: then the most expensive job is counted.
        """
        lost = self._actual or Decimal(0)
        if self.toll.documented is None and status in _SUCCESS and lost > 0:
            return lost
        return self.toll.documented or self.toll.worst or Decimal(0)

    def cancel(self) -> None:
        """Settle a request that was never sent, with a cost of zero."""
        self._book(Decimal(0), Decimal(0))

    def close(self) -> None:
        """Settle a request without a result at the price of the most expensive job."""
        worst = self.toll.worst or Decimal(0)
        self._book(worst, worst)

    def _book(self, documented: Decimal, actual: Decimal) -> None:
        if not self._settled:
            self._settled = True
            self._charging.purse.settle(self._what, documented, actual)
