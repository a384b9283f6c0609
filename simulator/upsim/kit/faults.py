"""Fault plans: what goes wrong, as the admin API takes it, over all stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import strategies as st

from upsim.core.faults import ACTIONS_AT, STAGES, Stage
from upsim.interception.hosts import library

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
    "patch": ({"status": "odd"}, {"data.status": "odd"}, {"data": None}),
    "headers": ({"content-type": "text/html"},),
    "late": ("1s", "90s"),
}
RECEIVED = (500, 404)
"""What a receiver of webhooks is made to have answered."""
LOST = (500, {"status": 502, "body": "<h1>Bad gateway</h1>", "content_type": "text/html"}, 504)
"""What may be answered in the place of an acceptance: no refusal, which would be believed."""


class FaultPlan(tuple[Fault, ...]):
    """Faults that are armed together; each ends by itself after a few times."""

    __slots__ = ()

    def __repr__(self) -> str:
        """The faults, each in short."""
        return f"<FaultPlan {'; '.join(map(_short, self)) or 'nothing'}>"


def fault_plans(
    provider: str | None = None,
    *,
    stages: Iterable[Stage] = STAGES,
    most: int = 2,
) -> st.SearchStrategy[FaultPlan]:
    """Up to `most` faults at these stages, each the first one to three times that it applies.

    A provider that sends no webhooks has no faults of them.
    """
    chosen = tuple(stages)
    if provider is not None and library().baseline(provider).baseline.webhooks is None:
        chosen = tuple(stage for stage in chosen if stage != "webhook")
    return _plans(provider, chosen, most)


@st.composite
def _plans(
    draw: st.DrawFn, provider: str | None, stages: tuple[Stage, ...], most: int
) -> FaultPlan:
    return FaultPlan(_fault(draw, provider, stages) for _ in range(draw(st.integers(1, most))))


def _fault(draw: st.DrawFn, provider: str | None, stages: tuple[Stage, ...]) -> Fault:
    stage = draw(st.sampled_from(stages))
    name = draw(st.sampled_from(ACTIONS_AT[stage]))
    choices = ACTIONS.get(name)
    if name == "respond":
        choices = {"webhook": RECEIVED, "after_accept": LOST}.get(stage, choices)
    do = name if choices is None else {name: draw(st.sampled_from(choices))}
    fault: Fault = {"at": stage, "first": draw(st.integers(1, 3)), "do": do}
    return fault if provider is None else {"provider": provider, **fault}


def _short(fault: Fault) -> str:
    do = fault["do"]
    what = do if isinstance(do, str) else " ".join(f"{k} {v}" for k, v in do.items())
    return f"first {fault['first']} at {fault['at']}: {what}"
