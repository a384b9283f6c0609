"""Find refunds in responses: a field in a failed job's poll, and the rows of a bill list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from upsim_contracts.cassettes.cassette import Cassette, RecordedExchange
from upsim_contracts.charge_check import amount_text
from upsim_contracts.drift.exchange_checks import CheckedExchange, place_of
from upsim_contracts.drift.recorded_jobs import RecordedJob, jobs_of
from upsim_contracts.expected_responses import ABSENT, at
from upsim_contracts.facts.fact_files import seconds
from upsim_contracts.facts.promises import Refunds, Rows
from upsim_contracts.findings import Finding
from upsim_contracts.request_costs import CostTable

REFUND = "refund"
_PAGING = frozenset({"page", "page_size"})
Found = tuple[CheckedExchange, list[int]]


def refund_signs(cassette: Cassette, costs: CostTable) -> list[Found]:
    """Return a finding for each refund that a response shows to be missing or wrong."""
    refunds = costs.book.refunds
    if refunds is None:
        return []
    found: list[Found] = []
    for name, job in jobs_of(cassette, costs).items():
        if job.failed is None:
            continue
        if refunds.field and _value(job.failed.answer.body.get("json"), refunds.field) is False:
            judged = no_refund(cassette, costs, job, "", f"{refunds.field} false")
            found.append((judged, [job.failed.number]))
        for number, seen in _in_rows(cassette, costs, refunds, name, job):
            found.append((no_refund(cassette, costs, job, "", seen), [number]))
    return found


def no_refund(
    cassette: Cassette, costs: CostTable, job: RecordedJob, expected: str, seen: str
) -> CheckedExchange:
    """Return a finding for a missing or wrong refund; `expected` may be the job's price."""
    refunds, book = costs.book.refunds, costs.book
    wanted = expected or amount_text(job.price or Decimal(0), book.unit)
    source = "no source given"
    if refunds is not None:
        wanted += f" within {refunds.within}" if refunds.within else ""
        source = costs.cited(refunds.fact)
    place = place_of(book.provider, cassette.header.dialect, job.made)
    name = place[1].name if place is not None else job.made.call
    finding = Finding(book.provider, name, REFUND, wanted, seen, source)
    return CheckedExchange("price", finding, REFUND, (REFUND,))


def _in_rows(
    cassette: Cassette, costs: CostTable, refunds: Refunds, name: str, job: RecordedJob
) -> Iterator[tuple[int, str]]:
    """Yield the first bill list in which a due refund of the job is missing or wrong."""
    rows = refunds.rows
    if rows is None or job.failed is None:
        return
    due = job.failed.at + Decimal(str(seconds(refunds.within or refunds.patience)))
    for one in cassette.exchanges:
        form = costs.call(one.method, one.path)
        if one.at < due or form is None or form.name != rows.call or not _is_whole(one):
            continue
        kinds = {str(at(row, rows.kind)): row for row in _rows(one, rows, name)}
        if rows.charge in kinds:
            amount = at(kinds.get(rows.refund), rows.amount)
            if amount is ABSENT:
                yield one.number, "none"
                return
            if isinstance(amount, int | Decimal) and Decimal(amount) != job.price:
                yield one.number, amount_text(Decimal(amount), costs.book.unit)
                return


def _is_whole(one: RecordedExchange) -> bool:
    """Return whether a request asks for the first page of all bills, without a filter."""
    asked = one.request.body.get("json")
    fields = asked if isinstance(asked, Mapping) else {}
    return not fields.keys() - _PAGING and fields.get("page", 1) == 1


def _rows(one: RecordedExchange, rows: Rows, name: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a job; the newest row comes last and is the valid one."""
    listed = at(one.answer.body.get("json", ABSENT), rows.at)
    for row in reversed(listed) if isinstance(listed, list) else ():
        if isinstance(row, Mapping) and at(row, rows.job) == name:
            yield row


def _value(document: object, name: str) -> object:
    """Return the value of a field of this name, at any depth of a document."""
    if not isinstance(document, Mapping):
        return None
    if name in document:
        return document[name]
    inner = (_value(one, name) for one in document.values())
    return next((one for one in inner if one is not None), None)
