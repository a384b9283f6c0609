"""Balances in a recording: losses between two readings, and refunds of failed jobs.

A reading is a balance that the caller asked for, or that the recorder read around a paid
request. Between two readings the balance falls by the charges, and rises by the price of jobs
that did not complete. A refund may arrive at any time.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate, combinations

from upsim_contracts.cassettes.cassette import Cassette, RecordedExchange
from upsim_contracts.charge_check import amount_text
from upsim_contracts.drift.exchange_checks import CheckedExchange
from upsim_contracts.drift.recorded_jobs import RecordedJob, jobs_of
from upsim_contracts.drift.refunds_in_responses import no_refund
from upsim_contracts.expected_responses import ABSENT, at
from upsim_contracts.facts.fact_files import seconds
from upsim_contracts.findings import Finding
from upsim_contracts.request_costs import CostTable

BALANCE = "balance"
MAX_MATCHED = 8
"""Jobs of which every choice is tried to find those that one rise of a balance pays back."""
MAX_TIMES = 3
"""How many times its price a refund can be; a larger gain counts as a top-up."""
AT_ONCE = Decimal("0.002")
"""Seconds by which requests one after the other can seem to overlap, since times are rounded."""
_NOTHING = Decimal(0)
_REFUSED, _BROKEN = 400, 500
_SUCCESS = range(200, 300)
_IS_AMOUNT = re.compile(r"-?\d{1,15}(\.\d{1,15})?")


@dataclass(slots=True)
class Balances:
    """The charges and refunds that the balances of a cassette show.

    `refunded` has the numbers of exchanges whose charge seems too small, because a refund arrived
    at the same time.
    """

    findings: list[tuple[CheckedExchange, list[int]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refunded: set[int] = field(default_factory=set)


def balances(cassette: Cassette, costs: CostTable) -> Balances:
    """Derive charges and refunds from the balances of each account of a cassette."""
    found = Balances()
    jobs = jobs_of(cassette, costs).values()
    for account in dict.fromkeys(one.account for one in cassette.exchanges):
        exchanges = [one for one in cassette.exchanges if one.account == account]
        own = [job for job in jobs if job.made.account == account]
        _Account(cassette, costs, exchanges, own, found).judge()
    return found


class _Account:
    """The balance changes of one account, between readings."""

    def __init__(
        self,
        cassette: Cassette,
        costs: CostTable,
        exchanges: Sequence[RecordedExchange],
        jobs: Sequence[RecordedJob],
        found: Balances,
    ) -> None:
        self._cassette = cassette
        self._costs = costs
        self._exchanges = exchanges
        self._found = found
        self._paid = [one for one in exchanges if one.charge is not None]
        self._under_way = _UnderWay(self._paid)
        self._open = [job for job in jobs if job.completed is None and job.price]
        self._last: Decimal | None = None
        self._charged: Decimal | None = _NOTHING
        """The cost of the requests since the last reading; None if it is unknown."""
        self._late = _NOTHING
        """What calls should have cost and had not when the balance was read after them."""
        self._gone = _NOTHING
        self._fell: list[int] = []

    def judge(self) -> None:
        """Derive the charges from the exchanges, in their order."""
        last = None
        for one in self._exchanges:
            if one.charge is not None:
                self._pay(one)
            amount = self._read(one)
            if amount is not None:
                self._compare(amount, one)
            if amount is not None or (one.charge is not None and one.charge.left is not None):
                last = one
        if last is not None:
            self._missing(last)
        if self._fell:
            self._fallen()

    def _read(self, one: RecordedExchange) -> Decimal | None:
        """Return the balance in a response; None if a paid request was still open."""
        book = self._costs.book
        form = self._costs.call(one.method, one.path)
        if book.balance is None or form is None or one.status not in _SUCCESS:
            return None
        name, place = book.balance
        if form.name != name or self._under_way.during(one):
            return None
        seen = {"headers": one.answer.headers, "json": one.answer.body.get("json", ABSENT)}
        return _amount(at(seen, place))

    def _pay(self, one: RecordedExchange) -> None:
        """Add the cost of a paid request, and compare the balances around it."""
        charge = one.charge
        if charge is None:
            return
        documented = _NOTHING if _REFUSED <= one.status < _BROKEN else charge.documented
        if charge.actual is not None and charge.left is not None:
            self._compare(charge.left + charge.actual, one)
            self._last = charge.left
        elif self._charged is not None:
            cost = documented if charge.actual is None else charge.actual
            self._charged = None if cost is None else self._charged + cost
        if charge.actual is not None and documented is not None:
            less = documented - charge.actual
            if less > 0 and self._pays_back(less, one):
                self._found.refunded.add(one.number)
            elif less > 0:
                self._late += less

    def _compare(self, amount: Decimal, one: RecordedExchange) -> None:
        """Compare a balance with the previous balance and the charges since then."""
        before, charged = self._last, self._charged
        self._last, self._charged = amount, _NOTHING
        if before is None or charged is None:
            return
        rise = amount - before + charged
        if rise < 0:
            late = min(self._late, -rise)
            self._late -= late
            if rise + late < 0:
                self._gone -= rise + late
                self._fell.append(one.number)
        elif rise > 0 and not self._pays_back(rise, one) and not self._is_other(rise, one):
            text = amount_text(rise, self._costs.book.unit)
            what = "which no request of the recording explains, such as a top-up"
            self._note(f"the balance rose by {text} before exchange {one.number}, {what}")

    def _pays_back(self, amount: Decimal, one: RecordedExchange) -> bool:
        """Return whether an amount refunds jobs that did not complete; mark them as refunded."""
        candidates = [job for job in self._open if job.made.number < one.number]
        some = sorted(candidates, key=lambda job: job.failed is None)[:MAX_MATCHED]
        for count in range(1, len(some) + 1):
            for chosen in combinations(some, count):
                sums = (_sum(job.price for job in chosen), _sum(job.documented for job in chosen))
                if amount in sums:
                    self._open = [job for job in self._open if job not in chosen]
                    return True
        return False

    def _is_other(self, amount: Decimal, one: RecordedExchange) -> bool:
        """Return whether a rise is a refund with a wrong amount; report it and close these jobs."""
        failed = [job for job in self._due() if job.failed and job.failed.number <= one.number]
        price = _sum(job.price for job in failed)
        times = amount / price if price else _NOTHING
        if not failed or (times > 1 and (times > MAX_TIMES or times % 1)):
            return False
        self._open = [job for job in self._open if job not in failed]
        self._refund(failed, amount_text(amount, self._costs.book.unit), price)
        return True

    def _due(self) -> list[RecordedJob]:
        """Return the failed jobs without a refund, if a document promises refunds."""
        if self._costs.book.refunds is None:
            return []
        return [job for job in self._open if job.failed is not None]

    def _missing(self, last: RecordedExchange) -> None:
        """Report overdue refunds as findings, and refunds that may still arrive as notes."""
        refunds = self._costs.book.refunds
        gone = []
        for job in self._due():
            if job.failed is None or refunds is None or last.number < job.failed.number:
                continue
            within = refunds.within or refunds.patience
            if last.at >= job.failed.at + Decimal(seconds(within)):
                gone.append(job)
            else:
                text = amount_text(job.price or _NOTHING, self._costs.book.unit)
                after = f"was read less than {within} after it"
                self._note(
                    f"the refund of {text} for the failed job of exchange {job.failed.number} "
                    f"had not come yet: the last balance {after}"
                )
        if gone:
            self._refund(gone, "none", gone[0].price or _NOTHING)

    def _refund(self, jobs: Sequence[RecordedJob], seen: str, price: Decimal) -> None:
        """Report a missing refund, or a refund with a wrong amount."""
        expected = amount_text(price, self._costs.book.unit)
        judged = no_refund(self._cassette, self._costs, jobs[0], expected, seen)
        self._found.findings.append((judged, [job.failed.number for job in jobs if job.failed]))

    def _fallen(self) -> None:
        """Report a loss of the balance that no request explains."""
        book = self._costs.book
        name = book.balance[0] if book.balance else ""
        form = book.calls[name]
        operation = f"{form.method} {form.path}"
        seen = f"a fall by {amount_text(self._gone, book.unit)} more"
        source = self._costs.evidence(self._paid_name())
        wanted = "a fall by what requests cost"
        finding = Finding(book.provider, operation, BALANCE, wanted, seen, source)
        self._found.findings.append(
            (CheckedExchange("price", finding, BALANCE, (BALANCE,)), self._fell)
        )

    def _paid_name(self) -> str:
        form = self._costs.call(self._paid[0].method, self._paid[0].path) if self._paid else None
        return form.name if form is not None else ""

    def _note(self, text: str) -> None:
        self._found.notes.append(f"note: {self._costs.book.provider}: {text}")


def _sum(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((one for one in amounts if one is not None), _NOTHING)


class _UnderWay:
    """Time spans of paid requests, sorted by end, each with the earliest start of later spans."""

    def __init__(self, paid: Sequence[RecordedExchange]) -> None:
        spans = sorted((one.at + one.took, one.at) for one in paid)
        begins = [begin for _, begin in spans]
        self._ends = [end for end, _ in spans]
        self._begins = [*accumulate(reversed(begins), min)][::-1]

    def during(self, one: RecordedExchange) -> bool:
        """Return whether a paid request was open at the same time as this request."""
        after = bisect_right(self._ends, one.at + AT_ONCE)
        end = one.at + one.took
        return after < len(self._begins) and self._begins[after] + AT_ONCE < end


def _amount(found: object) -> Decimal | None:
    """Return a balance from a response as an amount; None if it is not a number."""
    if isinstance(found, bool) or not isinstance(found, str | int | Decimal):
        return None
    text = str(found)
    return Decimal(text) if _IS_AMOUNT.fullmatch(text) else None
