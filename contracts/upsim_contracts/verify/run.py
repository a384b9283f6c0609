"""Check all facts of a provider at a target, one by one; Ctrl-C stops the run cleanly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from typing import Literal

from upsim_contracts.accepted_differences import KnownDifference
from upsim_contracts.causes.grouping import Cause, causes, judged
from upsim_contracts.documents.openapi import folders
from upsim_contracts.exceptions import NoContractError
from upsim_contracts.facts.account_client import Pricer
from upsim_contracts.facts.fact_files import FILE, Book, Fact, read_book
from upsim_contracts.facts.fact_runner import Sleep, Verdict, check_fact
from upsim_contracts.spending_guard import PriceDifference
from upsim_contracts.target import Target
from upsim_contracts.used_fields import ASIDE, UsedFields
from upsim_contracts.verify.early_stop import EarlyStop
from upsim_contracts.verify.planning import Planned, VerifyPlan, plan

Kind = Literal["page", "beside", "assumed"]
"""Where a fact comes from: the model's own page, another page, or a choice of the simulator."""


STOPPED = "the run was stopped before it"


@dataclass(slots=True)
class VerifyReport:
    """The results of a run. `stopped` means that the user ended it early.

    `refused` is the refusal that ended the run, after many refused facts in a row.
    """

    book: Book
    target: str
    plan: VerifyPlan
    verdicts: list[Verdict] = field(default_factory=list)
    stopped: bool = False
    refused: str = ""
    spent: Decimal = Decimal(0)
    predicted: Decimal = Decimal(0)
    differences: Sequence[PriceDifference] = ()
    causes: Sequence[Cause] = ()
    accepted: Sequence[tuple[Cause, KnownDifference]] = ()

    def count(self, outcome: str) -> int:
        """Return the number of facts with this outcome."""
        return sum(verdict.outcome == outcome for verdict in self.verdicts)

    @property
    def broken(self) -> bool:
        """Whether any failure is relevant to the team and not accepted."""
        return any(one.weight != ASIDE for one in self.causes)

    @property
    def headline(self) -> str:
        """Return the number of passed facts, in one line.

        It counts separately the facts of the model's own page, facts of other pages, and
        assumptions.
        """
        aside = self.count("untestable") + self.count("departs")
        testable = len(self.plan.planned) - aside
        held, documented = self.held_of()
        line = f"{self.book.provider}: {held} of {documented} documented facts hold"
        further: dict[Kind, str] = {"beside": "of its other pages", "assumed": "assumptions"}
        for kind, what in further.items():
            held, known = self.held_of(kind)
            line += f", and {held} of {known} {what}" if known else ""
        extra = {
            "broken": self.count("broken"),
            "that differ as accepted": self.count("accepted"),
            "not judged": self.count("not judged"),
            "not run": testable
            - sum(map(self.count, ("held", "broken", "accepted", "not judged"))),
            "that this dialect departs from": self.count("departs"),
            "that no test can decide": self.count("untestable"),
        }
        return line + "".join(f", {number} {what}" for what, number in extra.items() if number)

    def held_of(self, kind: Kind = "page") -> tuple[int, int]:
        """Return how many facts of one kind of source passed, and how many facts it has."""
        planned = [one.fact for one in self.plan.planned]
        counted = [fact for fact in planned if fact.untestable is None and fact.departs is None]
        held = [one.fact for one in self.verdicts if one.outcome == "held"]
        kinds = [[fact for fact in facts if self._kind(fact) == kind] for facts in (held, counted)]
        return len(kinds[0]), len(kinds[1])

    def accept(self, find: Callable[[str, str], KnownDifference | None]) -> None:
        """Remove the accepted causes; their facts then no longer count as failed."""
        name = self.book.provider
        found = [(cause, find(name, cause.sentence)) for cause in self.causes]
        self.causes = [cause for cause, known in found if known is None]
        self.accepted = [(cause, known) for cause, known in found if known is not None]
        reasons = {
            fact: f"{known}: {cause.sentence}"
            for cause, known in self.accepted
            for fact in cause.broken
        }
        self.verdicts = [
            replace(one, outcome="accepted", reason=reasons[one.fact.id])
            if one.outcome == "broken" and one.fact.id in reasons
            else one
            for one in self.verdicts
        ]

    def weigh(self, uses: UsedFields | None) -> None:
        """Mark each cause that concerns a team with these used fields."""
        if uses is not None:
            name = self.book.provider
            self.causes = [
                replace(one, weight=uses.weigh(name, one.key, one.places)) for one in self.causes
            ]

    def _kind(self, fact: Fact) -> Kind:
        source = self.book.sources[fact.source]
        return "assumed" if source.assumed else "beside" if source.beside else "page"


def providers() -> tuple[str, ...]:
    """Return the providers with facts, in this package and in other packages."""
    return tuple(name for name, folder in folders().items() if (folder / FILE).exists())


_read_once = cache(read_book)  # nothing changes a book, and reading one takes as long as its calls


def book_of(provider: str) -> Book:
    """Return the contract book of a provider. Raises NoContractError."""
    if provider not in providers():
        raise NoContractError("contract", provider, providers())
    return _read_once(folders()[provider] / FILE)


def pricer(provider: str) -> Pricer:
    """Return the function that computes a provider's prices, from `oracle.py` in its folder."""
    spec = spec_from_file_location(f"{provider}_oracle", folders()[provider] / "oracle.py")
    if spec is None or spec.loader is None:
        raise NoContractError("oracle", provider, providers())
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Pricer = module.price
    return found


def not_begun(book: Book, facts: Sequence[Fact], target: str) -> VerifyReport:
    """Return the report of a provider that a stopped run did not reach."""
    planned = [Planned(fact, "not run", reason=STOPPED) for fact in facts]
    found = [Verdict(fact, "not run", reason=STOPPED) for fact in facts]
    return VerifyReport(book, target, VerifyPlan(book.unit, planned), found, stopped=True)


def verify(
    book: Book,
    facts: Sequence[Fact],
    target: Target,
    *,
    sleep: Sleep,
    on_verdict: Callable[[Verdict], None] = lambda _verdict: None,
) -> VerifyReport:
    """Check these facts at a target. Ctrl-C ends the run with the results so far.

    Raises PlanRefusedError before anything is sent if the plan could cost more than the cap.
    """
    price = pricer(book.provider)
    # a refund that comes later must not be taken for that of another fact
    facts = sorted(facts, key=lambda one: not target.simulator and one.refunded)
    planned = plan(book, facts, target, price)
    if target.purse.cap is not None:
        planned.check(target.purse.cap)
    report = VerifyReport(book, target.name, planned)
    try:
        refusals = EarlyStop()
        for fact in facts:
            if report.refused:
                verdict = Verdict(fact, "not run", reason=report.refused)
            else:
                verdict = check_fact(book, fact, target, price, sleep)
                report.refused = "" if target.simulator else refusals.add(verdict)
            report.verdicts.append(verdict)
            on_verdict(verdict)
    except KeyboardInterrupt:
        report.stopped = True
        done = len(report.verdicts)
        report.verdicts += [Verdict(fact, "not run", reason=STOPPED) for fact in facts[done:]]
    report.spent, report.predicted = target.purse.spent, target.purse.predicted
    report.differences = tuple(target.purse.differences)
    report.causes = causes(book, report.verdicts, report.refused)
    report.verdicts = list(judged(report.verdicts, report.causes))
    return report
