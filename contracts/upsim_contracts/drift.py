"""What a cassette shows to have changed: against the contract, the prices and the simulator.

One thing that differs is one finding, however many answers show it. Each says how old its evidence
is: the day on which the document was read, and the day of the recording.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from upsim_contracts import evidence
from upsim_contracts.answers import Contract, Operation, check_answer, contract
from upsim_contracts.cassettes import Cassette, Exchange
from upsim_contracts.comparing import Unlike, compare, is_price
from upsim_contracts.documents import parts
from upsim_contracts.findings import Finding
from upsim_contracts.prices import CHARGE, price_finding
from upsim_contracts.redaction import PLACEHOLDER
from upsim_contracts.replaying import Replayed
from upsim_contracts.tolls import Tolls

Kind = Literal["contract", "price", "simulator", "stale"]
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that differs. `read` and `recorded` are days, `ages` are days ago, None unknown."""

    kind: Kind
    finding: Finding
    read: str
    recorded: str
    read_age: int | None
    recorded_age: int | None
    exchanges: tuple[int, ...]

    def __str__(self) -> str:
        """One line that a person understands."""
        ages = f"read {_ago(self.read_age)}, recorded {_ago(self.recorded_age)}"
        more = len(self.exchanges) - 1
        also = f" and {more} more" if more > 0 else ""
        return f"{self.finding}, {ages}, exchange {self.exchanges[0]}{also}"


@dataclass(slots=True)
class DriftReport:
    """What one cassette shows. `skipped` are exchanges that no simulator was asked about."""

    cassette: Cassette
    drifts: Sequence[Drift]
    judged: int
    replayed: int
    skipped: dict[str, int] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        """The whole in one line."""
        found = len(self.drifts)
        several = "s" * (found != 1)
        head = self.cassette.header
        left = "".join(f"; {count} not replayed: {why}" for why, count in self.skipped.items())
        return (
            f"{self.cassette.name} ({head.provider}, {head.dialect}, {head.recorded[:10]}): "
            f"{found or 'no'} difference{several} in {self.judged} exchanges, "
            f"{self.replayed} of them replayed{left}"
        )


def drift(
    cassette: Cassette,
    tolls: Tolls,
    replayed: Sequence[Replayed],
    *,
    today: date,
    stale_after: int | None = None,
) -> DriftReport:
    """Judge a cassette by contract, prices, and what a simulator said to the same requests."""
    header = cassette.header
    answers = {one.exchange.number: one for one in replayed}
    found: dict[tuple[str, str], tuple[Kind, Finding, list[int]]] = {}
    for exchange in cassette.exchanges:
        for kind, finding in _of(exchange, header.dialect, tolls, answers.get(exchange.number)):
            key = (finding.operation, finding.where)
            found.setdefault(key, (kind, finding, []))[2].append(exchange.number)
    drifts = [
        _aged(kind, finding, header.recorded, today, numbers)
        for kind, finding, numbers in found.values()
    ]
    if stale_after is not None:
        drifts += _stale(cassette, today, stale_after)
    skipped: dict[str, int] = {}
    for one in replayed:
        if one.skipped and one.exchange.part == "api":
            skipped[one.skipped] = skipped.get(one.skipped, 0) + 1
    judged = sum(one.part == "api" for one in cassette.exchanges)
    return DriftReport(cassette, drifts, judged, sum(not one.skipped for one in replayed), skipped)


def _of(
    exchange: Exchange, dialect: str, tolls: Tolls, replayed: Replayed | None
) -> Iterator[tuple[Kind, Finding]]:
    """What one exchange shows, each thing once: the contract's word goes first."""
    provider = tolls.book.provider
    if exchange.part == "file":
        return
    if exchange.status == 0:
        lost = ("connection", "an answer", "none", evidence.UNKNOWN)
        yield "contract", Finding(provider, exchange.call, *lost)
        return
    place = _place(provider, dialect, exchange)
    name = place[1].name if place else exchange.call
    unlike = [*compare(replayed)] if replayed is not None and not replayed.skipped else []
    told = [_renamed(one, unlike) for one in _contract(provider, dialect, exchange)]
    source, _read = tolls.evidence(_call_name(tolls, exchange))
    charge, priced = exchange.charge, None
    if charge is not None:
        priced = price_finding(provider, name, exchange.status, charge, source)
    if priced is not None:
        # Fields that tell the price say the same once more.
        yield "price", priced
        told = [one for one in told if not is_price(one.where)]
        unlike = [one for one in unlike if one.where != CHARGE and not is_price(one.where)]
    for one in told:
        yield "contract", one
    known = {one.where for one in told}
    for other in unlike:
        if not _is_about(other.where, known):
            yield _unlike(other, provider, name, exchange.status, _cited(place, exchange), source)


def _unlike(
    one: Unlike, provider: str, name: str, status: int, cited: str, priced: str
) -> tuple[Kind, Finding]:
    """A difference from the simulator as a finding."""
    label = name if one.where in ("status", CHARGE) else f"{name} {status}"
    kind: Kind = "price" if one.where == CHARGE else "simulator"
    source = priced if kind == "price" else cited
    return kind, Finding(provider, label, one.where, one.expected, one.seen, source)


def _contract(provider: str, dialect: str, exchange: Exchange) -> Iterator[Finding]:
    found = check_answer(
        provider,
        dialect,
        method=exchange.method,
        path=exchange.path,
        status=exchange.status,
        headers=exchange.answer.headers,
        body=exchange.answer.content,
    )
    for one in found:
        redacted = PLACEHOLDER in one.seen or PLACEHOLDER in one.expected
        if not redacted and "file" not in exchange.answer.body:
            yield one


def _renamed(finding: Finding, unlike: Sequence[Unlike]) -> Finding:
    """A missing field in whose place another stands."""
    same = next((one for one in unlike if one.where == finding.where), None)
    if finding.seen == "none" and same is not None and same.seen.endswith("in its place"):
        return Finding(
            finding.provider,
            finding.operation,
            finding.where,
            finding.expected,
            same.seen,
            finding.evidence,
        )
    return finding


def _is_about(where: str, known: Iterable[str]) -> bool:
    """Whether a place lies at or around one of which something was said."""
    return any(
        where.startswith(f"{one}.") or one.startswith(f"{where}.") or one == "body" for one in known
    )


def _place(provider: str, dialect: str, exchange: Exchange) -> tuple[Contract, Operation] | None:
    for part in parts(provider):
        one = contract(provider, dialect, part)
        operation = one.find(exchange.method, exchange.path)
        if operation is not None:
            return one, operation
    return None


def _cited(place: tuple[Contract, Operation] | None, exchange: Exchange) -> str:
    if place is None:
        return evidence.UNKNOWN
    one, operation = place
    steps = ("paths", operation.path, operation.method.lower(), "responses")
    steps = (*steps, str(exchange.status))
    return evidence.at(one.document, steps)


def _call_name(tolls: Tolls, exchange: Exchange) -> str:
    form = tolls.call(exchange.method, exchange.path)
    return form.name if form is not None else ""


def _stale(cassette: Cassette, today: date, limit: int) -> Iterator[Drift]:
    """Evidence that is older than it may be: documents in use, and the recording itself."""
    header = cassette.header
    sources: dict[str, int] = {}
    for exchange in cassette.exchanges:
        place = _place(header.provider, header.dialect, exchange)
        if exchange.part == "api" and place is not None:
            sources.setdefault(_cited(place, exchange), exchange.number)
    for source, number in sources.items():
        age = _age(source, today)
        if age is None or age > limit:
            seen = "no date" if age is None else f"{age} days"
            yield _old(header.provider, "evidence", source, limit, seen, number, cassette, today)
    age = _age(header.recorded, today)
    if age is None or age > limit:
        seen = "no date" if age is None else f"{age} days"
        name = cassette.name
        yield _old(header.provider, "recording", name, limit, seen, 0, cassette, today)


def _old(
    provider: str,
    what: str,
    source: str,
    limit: int,
    seen: str,
    number: int,
    cassette: Cassette,
    today: date,
) -> Drift:
    finding = Finding(provider, what, "age", f"at most {limit} days", seen, source)
    return _aged("stale", finding, cassette.header.recorded, today, [number])


def _aged(
    kind: Kind, finding: Finding, recorded: str, today: date, numbers: Sequence[int]
) -> Drift:
    days = _DAY.findall(finding.evidence)
    read = days[-1] if days else ""
    return Drift(
        kind, finding, read, recorded, _age(read, today), _age(recorded, today), tuple(numbers)
    )


def _age(text: str, today: date) -> int | None:
    days = _DAY.findall(text)
    return (today - date.fromisoformat(days[-1])).days if days else None


def _ago(age: int | None) -> str:
    if age is None:
        return "at an unknown date"
    return "today" if age == 0 else f"{age} day{'s' * (age != 1)} ago"
