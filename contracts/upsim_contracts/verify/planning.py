"""Plan a run before any request is sent: the facts, the cost of each, and the total cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from upsim_contracts.amounts import counted
from upsim_contracts.clip_properties import GONE, clip
from upsim_contracts.exceptions import PlanRefusedError
from upsim_contracts.facts.account_client import Pricer, body_of
from upsim_contracts.facts.fact_files import Book, Fact, filled
from upsim_contracts.target import Target

Tier = Literal["free", "refused", "paid", "not run"]
REFUSED = 400
"""Statuses from here on are refusals."""
SHORTEST = "320x240 10fps 1s"
"""A clip for which every provider charges its minimum."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One fact of a plan.

    `charge` is its documented cost. `risk` is the cost of a request that the provider should refuse
    but might accept. `reason` says why the fact will not run.
    """

    fact: Fact
    tier: Tier
    charge: Decimal = Decimal(0)
    risk: Decimal = Decimal(0)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class VerifyPlan:
    """The facts in order. Amounts are in the provider's unit."""

    unit: str
    planned: Sequence[Planned]

    @property
    def charges(self) -> Decimal:
        """Return the cost of the run if the provider charges as documented."""
        return sum((one.charge for one in self.planned), Decimal(0))

    @property
    def worst(self) -> Decimal:
        """Return the largest amount that can be reserved: all charges and the costliest refusal."""
        return self.charges + max((one.risk for one in self.planned), default=Decimal(0))

    def refunds(self, failures: str) -> str:
        """Return which facts check refunds of failed jobs, or the reason for none (`failures`)."""
        checking = [one.fact for one in self.planned if one.tier == "paid" and one.fact.refunded]
        if checking:
            return f"checked by {', '.join(fact.id for fact in checking)}"
        return f"not checked: {failures or 'no chosen fact makes a job fail'}"

    def check(self, cap: Decimal) -> None:
        """Raise PlanRefusedError if the plan could cost more than the cap."""
        if self.worst > cap:
            worst, most = (counted(one, self.unit) for one in (self.worst, cap))
            raise PlanRefusedError(
                f"the plan could cost {worst}, the cap is {most}: "
                "raise --cap, or choose fewer facts by --model, --fact or --tier"
            )


def plan(book: Book, facts: Iterable[Fact], target: Target, price: Pricer) -> VerifyPlan:
    """Return the plan for running these facts against a target."""
    return VerifyPlan(book.unit, [_planned(book, fact, target, price) for fact in facts])


def _planned(book: Book, fact: Fact, target: Target, price: Pricer) -> Planned:
    if fact.untestable is not None:
        return Planned(fact, "not run", reason=fact.untestable)
    if fact.departs is not None:
        return Planned(fact, "not run", reason=fact.departs)
    if not target.simulator and fact.needs_control is not None:
        return Planned(fact, "not run", reason=fact.needs_control)
    charge = risk = Decimal(0)
    for step in fact.steps:
        cost = _cost(book, step, price)
        if _is_refused(step):
            risk = max(risk, cost)
        elif step.get("video") == GONE:  # documented to be refunded; its duration is unknown
            least = _cost(book, {**step, "video": SHORTEST}, price)
            charge, risk = charge + least, max(risk, cost - least)
        else:
            charge += cost
    tier: Tier = "paid" if charge else "refused" if risk else "free"
    return Planned(fact, tier, charge, risk)


def _cost(book: Book, step: Mapping[str, Any], price: Pricer) -> Decimal:
    """Return the published price of a step; without one, the highest price of its operation."""
    form = book.calls.get(step.get("call", ""))
    if form is None or not form.paid:
        return Decimal(0)
    video = step.get("video")
    text = video["data"] if isinstance(video, Mapping) else video
    measured = None if text is None or text == GONE or "://" in text else clip(text)
    filled_in = filled(body_of(form, step), {})
    body = filled_in if isinstance(filled_in, Mapping) else {}
    found = price(form.name, measured, body)
    return (price(form.name, None, body) if found is None else found) or Decimal(0)


def _is_refused(step: Mapping[str, Any]) -> bool:
    status = step.get("expect", {}).get("status", 200)
    return isinstance(status, int) and status >= REFUSED
