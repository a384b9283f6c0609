"""The calls that every run tries first: common client mistakes.

Random exploration finds a lost response in some runs and misses it in others. These calls
are the same in every run. Each call has its own sandbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hypothesis import find, settings
from hypothesis import strategies as st

from upsim.core.faults import CUTS
from upsim.kit.faults import LOST, FaultPlan, plan_for
from upsim.kit.upscale_orders import Order

__tracebackhide__ = True  # for pytest: a failing test shows its own line, not ours
AFTER_EVERY_TIMEOUT = "20m"
SAME = settings(derandomize=True, database=None)
NEVER_A_FILE = {"at": "download", "first": 20, "do": {"respond": 500}}
"""A download that fails more often than clients retry."""


class ClientSteps(Protocol):
    """The parts of a machine that the first calls use."""

    def first_plans(self) -> tuple[FaultPlan, ...]:
        """Return the fault plans of the first calls."""

    def orders(self) -> st.SearchStrategy[Order]:
        """Return a strategy of orders that the provider accepts."""

    def begin(self, scenario: str | None) -> None:
        """Create the sandbox."""

    def polls_as_advised(self) -> None:
        """Raise AssertionError if the client polled too often or after the end."""

    def teardown(self) -> None:
        """Remove the sandbox and the files."""


@dataclass(frozen=True, slots=True)
class FirstCall:
    """A rule of a machine, with all its arguments except the order."""

    rule: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def first_plans(provider: str) -> tuple[FaultPlan, ...]:
    """Return plans that lose the response to an accepted job, then a plan without an output."""
    lost: list[object] = [{"delay": AFTER_EVERY_TIMEOUT}, *CUTS, *({"respond": do} for do in LOST)]
    faults = [{"at": "after_accept", "first": 1, "do": do} for do in lost]
    plans = (plan_for(provider, fault) for fault in (*faults, NEVER_A_FILE))
    return tuple(plan for plan in plans if plan)


def try_first_calls(machine: Callable[[], ClientSteps]) -> None:
    """Make each first call. Raises AssertionError with the steps as a note if the client fails."""
    maker = machine()
    calls = [*_calls(maker.first_plans())]
    order = find(maker.orders(), lambda _: True, settings=SAME)
    maker.teardown()
    for call in calls:
        _try(machine(), call.rule, {"order": order, **call.arguments})


def _calls(plans: tuple[FaultPlan, ...]) -> Iterator[FirstCall]:
    yield FirstCall("upscale_valid")
    yield FirstCall("upscale_what_fails")
    for plan in plans:
        yield FirstCall("upscale_under_faults", {"plan": plan})


def _try(machine: ClientSteps, rule: str, arguments: Mapping[str, Any]) -> None:
    try:
        machine.begin(scenario=None)
        getattr(machine, rule)(**arguments)
        machine.polls_as_advised()
    except AssertionError as error:
        error.add_note(_steps(type(machine).__name__, rule, arguments))
        raise
    finally:
        machine.teardown()


def _steps(name: str, rule: str, arguments: Mapping[str, Any]) -> str:
    """Return the text that Hypothesis would print for such an example."""
    given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    lines = [f"state = {name}()", "state.begin(scenario=None)", f"state.{rule}({given})"]
    return "\n".join(["Failing test case: <state machine>", *lines, "state.teardown()"])
