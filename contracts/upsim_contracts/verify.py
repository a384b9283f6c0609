"""Judging a target by all facts of a provider, one after the other, stopping cleanly when told."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path

from upsim_contracts.facts import Book, Fact, books, read_book
from upsim_contracts.planning import Plan, plan
from upsim_contracts.running import Pricer, Sleep, Verdict, judge
from upsim_contracts.spending import Difference
from upsim_contracts.target import Target


class UnknownProviderError(LookupError):
    """A provider that the contracts know nothing of; the message lists those they know."""


@dataclass(slots=True)
class Report:
    """What a run found. `stopped` means that somebody ended it before its end."""

    book: Book
    target: str
    plan: Plan
    verdicts: list[Verdict] = field(default_factory=list)
    stopped: bool = False
    spent: Decimal = Decimal(0)
    predicted: Decimal = Decimal(0)
    differences: Sequence[Difference] = ()

    def count(self, outcome: str) -> int:
        """How many facts came out so."""
        return sum(verdict.outcome == outcome for verdict in self.verdicts)

    @property
    def broken(self) -> bool:
        """Whether anything differs from what is documented."""
        return self.count("broken") > 0 or bool(self.differences)

    @property
    def headline(self) -> str:
        """How many of the documented facts hold, in one line."""
        testable = len(self.plan.planned) - self.count("untestable")
        line = f"{self.book.provider}: {self.count('held')} of {testable} documented facts hold"
        extra = {
            "broken": self.count("broken"),
            "not run": testable - self.count("held") - self.count("broken"),
            "that no test can decide": self.count("untestable"),
        }
        return line + "".join(f", {number} {what}" for what, number in extra.items() if number)


def book_of(provider: str) -> Book:
    """What the contracts know of a provider. Raises UnknownProviderError."""
    known = {path.parent.name: path for path in books()}
    if provider not in known:
        near = get_close_matches(provider, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise UnknownProviderError(f"there is no contract for {provider!r}; {hint}")
    return read_book(known[provider])


def providers() -> tuple[str, ...]:
    """The providers that have a contract."""
    return tuple(path.parent.name for path in books())


def folder() -> Path:
    """Where the contracts are."""
    return Path(__file__).parent


def pricer(provider: str) -> Pricer:
    """The contracts' own reckoning of a provider's prices."""
    found: Pricer = importlib.import_module(f"upsim_contracts.{provider}.oracle").price
    return found


def verify(
    book: Book,
    facts: Sequence[Fact],
    target: Target,
    *,
    sleep: Sleep,
    seen: Callable[[Verdict], None] = lambda _verdict: None,
) -> Report:
    """Judge a target by these facts. Ctrl-C ends it with what was found so far.

    Raises PlanRefusedError before anything is sent when the plan could cost more than the cap.
    """
    price = pricer(book.provider)
    planned = plan(book, facts, target, price)
    if target.purse.cap is not None:
        planned.check(target.purse.cap)
    report = Report(book, target.name, planned)
    try:
        for fact in facts:
            verdict = judge(book, fact, target, price, sleep)
            report.verdicts.append(verdict)
            seen(verdict)
    except KeyboardInterrupt:
        report.stopped = True
    report.spent, report.predicted = target.purse.spent, target.purse.predicted
    report.differences = tuple(target.purse.differences)
    return report
