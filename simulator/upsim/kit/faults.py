"""Fault plans: faults in the format of the admin API, over all stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from hypothesis import strategies as st

from upsim.client.argument_checks import Numbers, check_choice, check_number, check_true
from upsim.client.exceptions import ArgumentError
from upsim.core.faults import ACTIONS_AT, STAGES, Stage
from upsim.interception.provider_hosts import library
from upsim.providers import discover
from upsim.scenario.code_references import answers_of
from upsim.scenario.faults.fault_rules import fault_mistakes
from upsim.scenario.faults.vocabulary import FaultVocabulary, known_in

Fault = dict[str, Any]
ACTIONS: Mapping[str, tuple[object, ...]] = {
    "respond": (
        500,
        429,
        {"status": 429, "headers": {"retry-after": "7"}, "body": {}},
        {"status": 502, "body": "<h1>Bad gateway</h1>", "content_type": "text/html"},
        "internal",
    ),
    "delay": ("45s", "2m"),
    "truncate": ("50%", 0, "99%"),
    "corrupt": (1, 20),
    "trickle": ({"chunk": 64, "pause": "1s"},),
    "patch": ({"status": "odd", "data.status": "odd"}, {"data": None, "status": None}),
    "headers": ({"content-type": "text/html"},),
    "late": ("1s", "90s"),
}
_PLAN_SIZES = Numbers("2", minimum=1, maximum=100, whole=True)
RECEIVED = (500, 404)
"""Statuses that a receiver of webhooks appears to return."""
LOST = (500, {"status": 502, "body": "<h1>Bad gateway</h1>", "content_type": "text/html"}, 504)
"""Responses that may replace an acceptance; refusals are left out, because clients trust them."""


class FaultPlan(tuple[Fault, ...]):
    """Faults that are armed together; each fault fires only a few times."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show a short form of each fault."""
        return f"<FaultPlan {'; '.join(map(_short, self)) or 'nothing'}>"


def fault_plans(
    provider: str | None = None,
    *,
    stages: Iterable[Stage] = STAGES,
    most: int = 2,
) -> st.SearchStrategy[FaultPlan]:
    """Return a strategy of up to `most` faults at these stages, each firing one to three times.

    Only faults that fit the provider are drawn: without webhooks, there are no webhook
    faults. Raises ArgumentError, for example if no fault of these stages fits the provider.
    """
    if provider is not None:
        check_choice("provider", provider, discover())
    form = f"a list of stages such as {[*STAGES[:2]]}"
    listed = hasattr(stages, "__iter__") and not isinstance(stages, str)
    check_true("stages", stages, form, valid=listed)
    chosen = tuple(stages)
    for stage in chosen:
        check_choice("each of stages", stage, STAGES)
    check_number("most", most, _PLAN_SIZES)
    possible = _possible(provider, chosen)
    if not possible:
        fitting = [one for one in STAGES if _possible(provider, (one,))]
        given, whose = ", ".join(chosen) or "is empty", provider or "any provider"
        raise ArgumentError(f"stages {given}: no fault fits {whose}; use {', '.join(fitting)}")
    return _plans(possible, provider, int(most))


@st.composite
def _plans(
    draw: st.DrawFn, possible: tuple[Fault, ...], provider: str | None, most: int
) -> FaultPlan:
    whose = {} if provider is None else {"provider": provider}
    times, faults = st.integers(1, 3), st.sampled_from(possible)
    return FaultPlan(
        {**whose, **draw(faults), "first": draw(times)} for _ in range(draw(st.integers(1, most)))
    )


@cache
def _possible(provider: str | None, stages: tuple[Stage, ...]) -> tuple[Fault, ...]:
    """Return every fault of every stage that fits the provider."""
    known = None if provider is None else _known(provider)
    found = [
        {"at": stage, "do": do}
        for stage in stages
        for name in ACTIONS_AT[stage]
        for do in _ways(stage, name)
    ]
    return tuple(f for f in found if known is None or not list(fault_mistakes(f, known)))


def plan_for(provider: str, *faults: Fault) -> FaultPlan | None:
    """Return a plan of exactly these faults; None if one of them does not fit the provider."""
    known = _known(provider)
    if any(list(fault_mistakes(fault, known)) for fault in faults):
        return None
    return FaultPlan({"provider": provider, **fault} for fault in faults)


@cache
def _known(provider: str) -> FaultVocabulary:
    providers, tree = discover(), {**(library().tree_of(provider) or {})}
    kinds = {operation.name: operation.kind for operation in providers[provider].operations}
    return known_in(tree, kinds, answers=answers_of(tree, providers))


def _ways(stage: Stage, name: str) -> list[object]:
    choices = ACTIONS.get(name)
    if name == "respond":
        choices = {"webhook": RECEIVED, "after_accept": LOST}.get(stage, choices)
    return [name] if choices is None else [{name: chosen} for chosen in choices]


def _short(fault: Fault) -> str:
    do = fault["do"]
    what = do if isinstance(do, str) else " ".join(f"{k} {v}" for k, v in do.items())
    return f"first {fault['first']} at {fault['at']}: {what}"
