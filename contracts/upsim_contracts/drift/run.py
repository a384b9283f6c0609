"""Report the changes that a cassette shows, and the age of their evidence.

Each difference is one line, even if many responses show it. A line has the day on which the
document was read, and the date of the recording.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import chain

from upsim_contracts.accepted_differences import KnownDifference
from upsim_contracts.amounts import counted
from upsim_contracts.cassettes.cassette import Cassette
from upsim_contracts.causes.signs import PRICE, Key, key_of, ratio
from upsim_contracts.charge_check import CHARGE
from upsim_contracts.documents import wrong_paths
from upsim_contracts.drift.balances import balances
from upsim_contracts.drift.cassette_replay import Replayed
from upsim_contracts.drift.default_consequences import without_following
from upsim_contracts.drift.durations import slow_jobs
from upsim_contracts.drift.exchange_checks import (
    CheckedExchange,
    Kind,
    check_exchange,
    cited_at,
    place_of,
)
from upsim_contracts.drift.new_refusals import refusals
from upsim_contracts.drift.refunds_in_responses import refund_signs
from upsim_contracts.findings import Finding
from upsim_contracts.request_costs import CostTable
from upsim_contracts.used_fields import ASIDE, Place, UsedFields, Weight, place

_DAY = re.compile(r"\b(20\d\d)-?(0[1-9]|1[0-2])-?([0-3]\d)(?!\d)")


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference. `read` and `recorded` are dates, `ages` are days ago, None if unknown.

    `also` names fields of other responses that show the same change. `said` is the provider's error
    in a refusal. `says` replaces the difference in the line.
    """

    kind: Kind
    finding: Finding
    read: str
    recorded: str
    read_age: int | None
    recorded_age: int | None
    exchanges: tuple[int, ...]
    also: tuple[str, ...] = ()
    key: Key = ("",)
    places: tuple[Place, ...] = ()
    weight: Weight = ""
    said: str = ""
    says: str = ""

    @property
    def difference(self) -> str:
        """Return the difference without dates and places that vary between recordings."""
        found = self.finding
        return f"{found.operation}: {found.where}: expected {found.expected}, seen {found.seen}"

    def __str__(self) -> str:
        """Return the difference as one line of text."""
        ages = f"read {_ago(self.read_age)}, recorded {_ago(self.recorded_age)}"
        count = len(self.exchanges) - 1
        more = f" and {count} more" if count > 0 else ""
        also = f"; the same in {', '.join(self.also)}" if self.also else ""
        weight = f"{self.weight}: " if self.weight else ""
        words = f" {self.said}" if self.said else ""
        says = f"{self.finding.operation}: {self.says}" if self.says else self.difference + words
        what = f"{self.finding.provider}: {says}"
        source = f"[{self.finding.evidence}]"
        return f"{weight}{what} {source}, {ages}, exchange {self.exchanges[0]}{more}{also}"


@dataclass(slots=True)
class DriftReport:
    """The findings for one cassette.

    `skipped` are exchanges that were not sent to a simulator.

    `notes` are about wrong paths in the client's requests.
    """

    cassette: Cassette
    drifts: Sequence[Drift]
    judged: int
    replayed: int
    skipped: dict[str, int] = field(default_factory=dict)
    accepted: Sequence[tuple[Drift, KnownDifference]] = ()
    notes: Sequence[str] = ()

    @property
    def broken(self) -> bool:
        """Whether any difference is relevant to the team and not accepted."""
        return any(one.weight != ASIDE for one in self.drifts)

    def weigh(self, uses: UsedFields | None) -> None:
        """Mark each difference that concerns a team with these used fields."""
        if uses is not None:
            self.drifts = [
                replace(one, weight=uses.weigh(one.finding.provider, one.key, one.places))
                for one in self.drifts
            ]

    def accept(self, find: Callable[[str, str], KnownDifference | None]) -> None:
        """Remove the differences that are accepted."""
        found = [(one, find(one.finding.provider, one.difference)) for one in self.drifts]
        self.drifts = [one for one, known in found if known is None]
        self.accepted = [(one, known) for one, known in found if known is not None]

    @property
    def headline(self) -> str:
        """Return a one-line summary of the report."""
        found = len(self.drifts)
        head = self.cassette.header
        known = f", and {len(self.accepted)} accepted" if self.accepted else ""
        taken = len(self.cassette.deliveries)
        hooks = f" and {counted(taken, 'webhook')}" if taken else ""
        left = "".join(f"; {count} not replayed: {why}" for why, count in self.skipped.items())
        return (
            f"{self.cassette.name} ({head.provider}, {head.dialect}, {head.recorded[:10]}): "
            f"{counted(found or 'no', 'difference')}{known} in {counted(self.judged, 'exchange')}"
            f"{hooks}, "
            f"{self.replayed} of them replayed{left}"
        )


def drift(
    cassette: Cassette,
    costs: CostTable,
    replayed: Sequence[Replayed],
    *,
    today: date,
    stale_after: int | None = None,
) -> DriftReport:
    """Check a cassette against the contract, the prices, and a simulator's responses."""
    header = cassette.header
    answers = {one.exchange.number: one for one in replayed}
    found: dict[tuple[str, str], tuple[CheckedExchange, list[int]]] = {}
    money = balances(cassette, costs)
    always, passing = refusals(cassette, costs, answers)
    slow = [*refund_signs(cassette, costs), *slow_jobs(cassette, costs)]
    for exchange in (*cassette.exchanges, *cassette.deliveries):
        for one in check_exchange(exchange, header.dialect, costs, answers.get(exchange.number)):
            if one.field == CHARGE and exchange.number in money.refunded:
                continue
            found.setdefault(_stands(one), (one, []))[1].append(exchange.number)
    single = without_following([*found.values()], cassette, costs)
    drifts = [*_each_once([*single, *money.findings, *always, *slow], header.recorded, today)]
    if stale_after is not None:
        drifts += _stale(cassette, today, stale_after)
    outcomes = [one.skipped for one in replayed if one.exchange.part == "api"]
    skipped = {reason: outcomes.count(reason) for reason in outcomes if reason}
    judged = sum(one.part == "api" for one in cassette.exchanges)
    sent = len(outcomes) - sum(skipped.values())
    notes = [*dict.fromkeys(_notes(cassette, costs)), *money.notes, *passing]
    return DriftReport(cassette, drifts, judged, sent, skipped, notes=notes)


def _notes(cassette: Cassette, costs: CostTable) -> Iterator[str]:
    dialect = cassette.header.dialect
    for one in cassette.exchanges:
        said = wrong_paths.unknown_path_note(costs, dialect, one.method, one.path, one.status)
        if one.part == "api" and said is not None:
            yield said


def _each_once(
    found: Sequence[tuple[CheckedExchange, list[int]]], recorded: str, today: date
) -> Iterator[Drift]:
    """Yield each change once, by its first finding; charges come before fields with a price."""
    groups: dict[Key, list[tuple[CheckedExchange, list[int]]]] = {}
    for one in sorted(found, key=lambda pair: (not _is_charge(pair[0]), pair[0].vague)):
        is_price = not one[0].key and ratio(one[0].finding) is not None
        key: Key = one[0].key or ((PRICE,) if is_price else key_of(one[0].finding))
        groups.setdefault(key, []).append(one)
    for key, ((first, numbers), *others) in sorted(groups.items(), key=lambda one: one[1][0][1]):
        named = [f"{one.field} of {one.finding.operation}" for one, _ in ((first, ()), *others)]
        also = tuple(dict.fromkeys(named))[1:]
        every = (first, *(one for one, _ in others))
        same = (more for one, more in others if _stands(one) == _stands(first))
        exchanges = sorted([*numbers, *({*chain.from_iterable(same)} - {*numbers})])
        aged = _aged(first.kind, first.finding, recorded, today, exchanges)
        places = tuple(place(one.finding.operation, one.finding.where) for one in every)
        says = next((one.says for one in every if one.says), "")
        said = "" if says else first.said
        yield replace(aged, also=also, key=key, places=places, said=said, says=says)


def _stands(one: CheckedExchange) -> tuple[str, str]:
    """Return the place of a difference: the operation, and the field in its response."""
    return one.finding.operation, one.field


def _is_charge(one: CheckedExchange) -> bool:
    return one.field == CHARGE


def _stale(cassette: Cassette, today: date, limit: int) -> Iterator[Drift]:
    """Yield outdated evidence: documents that were read too long ago, and an old recording."""
    header = cassette.header
    sources: dict[str, int] = {}
    for exchange in cassette.exchanges:
        place = place_of(header.provider, header.dialect, exchange)
        if exchange.part == "api" and place is not None:
            sources.setdefault(cited_at(place, exchange), exchange.number)
    for source, number in sources.items():
        age = _age(source, today)
        if age is None or age > limit:
            seen = "no date" if age is None else f"{age} days"
            yield _old(
                header.provider,
                "evidence",
                source=source,
                limit=limit,
                seen=seen,
                number=number,
                cassette=cassette,
                today=today,
            )
    age = _age(header.recorded, today)
    if age is None or age > limit:
        seen = "no date" if age is None else f"{age} days"
        name = cassette.name
        yield _old(
            header.provider,
            "recording",
            source=name,
            limit=limit,
            seen=seen,
            number=0,
            cassette=cassette,
            today=today,
        )


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
    read = "-".join(days[-1]) if days else ""
    return Drift(
        kind,
        finding,
        read=read,
        recorded=recorded,
        read_age=_age(read, today),
        recorded_age=_age(recorded, today),
        exchanges=tuple(numbers),
    )


def _age(text: str, today: date) -> int | None:
    """Return the age in days of the last date in a text; None without a date."""
    days = _DAY.findall(text)
    try:
        return (today - date(*map(int, days[-1]))).days if days else None
    except ValueError:
        return None


def _ago(age: int | None) -> str:
    if age is None:
        return "at an unknown date"
    return "today" if age == 0 else f"{counted(age, 'day')} ago"
