"""A state machine that uses your client as its users do, while faults happen.

Its rules call your code with valid and invalid orders, faults, failing jobs, low balances, changed
prices and an advancing clock. After each call it checks money, files and polling.
"""

from __future__ import annotations

import asyncio
import inspect
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, cast

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from upsim.client.argument_checks import LIMIT, check_kind, check_number, check_true
from upsim.client.models import find_model
from upsim.core.states import TERMINAL
from upsim.interception.provider_hosts import library
from upsim.kit.client_mistakes import CallOutcome, find_mistake
from upsim.kit.client_sleep import CountingWire, RunawayError, replace_sleep
from upsim.kit.clips import check_seconds
from upsim.kit.faults import FaultPlan, fault_plans
from upsim.kit.first_calls import first_plans, try_first_calls
from upsim.kit.sandboxes import own_sandbox
from upsim.kit.test_case import show_at_class
from upsim.kit.upscale_orders import Order, invalid_orders, valid_orders
from upsim.testing.journal_text import journal_text
from upsim.testing.sandboxes import SandboxHandle

__tracebackhide__ = True  # for pytest: a failing test shows its own line, not ours
Sandboxes = Callable[..., SandboxHandle]
SETTINGS = settings(
    max_examples=30,
    stateful_step_count=8,
    deadline=None,
    report_multiple_bugs=False,
    phases=[phase for phase in Phase if phase is not Phase.explain],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
"""Hypothesis settings of a machine, unless its `TestCase.settings` override them."""
PRICES_CHANGE = "price-change-in-mid-run"
POLLING_FINDINGS = ("polled_too_often", "polled_after_the_end", "retry_after_ignored")
"""Findings of the report card that break the invariant on polling."""


class ClientMachine(RuleBasedStateMachine):
    """The base class of your machine: set `model`, and write `upscale`, or `submit` and `poll`.

    `webhook_url` is the URL for webhooks (None: your client should poll). `folder` is a
    folder for your client's files. `sleep` advances the sandbox clock. While your client
    runs, `time.sleep` and `asyncio.sleep` advance it too.
    """

    model: ClassVar[str] = ""
    longest: ClassVar[float] = 3
    """Maximum duration of clips, in seconds."""
    patience: ClassVar[float] = 4 * 3600
    """Maximum seconds of the sandbox clock that one call may sleep in total."""
    most_requests: ClassVar[int] = 200
    """Maximum number of requests that one call may send."""
    intercepts: ClassVar[bool] = False
    """Whether requests for the provider's own host are redirected to the sandbox."""
    make_sandbox: ClassVar[Sandboxes] = staticmethod(own_sandbox)

    def __init_subclass__(cls, **more: Any) -> None:  # noqa: ANN401 - as object's
        """Give each machine moderate settings, which its `TestCase` may override."""
        super().__init_subclass__(**more)
        cls.TestCase.settings = SETTINGS
        show_at_class(cls, run_client)

    def __init__(self) -> None:
        """Prepare an empty machine; the first rule creates the sandbox."""
        super().__init__()
        self._known = find_model(self.model)
        check_seconds("longest", self.longest)
        check_seconds("patience", self.patience)
        check_number("most_requests", self.most_requests, LIMIT)
        self.folder = Path(tempfile.mkdtemp(prefix="upsim-kit-"))
        self.sandbox: SandboxHandle
        self.webhook_url: str | None = None
        self._slept = 0.0
        self._doomed = False
        self._last = 0

    # -- your client

    def upscale(self, sandbox: SandboxHandle, source: str, options: Mapping[str, str]) -> Any:  # noqa: ANN401 - yours; bytes, a path, or what has a path
        """Upscale a video and return the finished file: bytes, a path, or an object with a `path`.

        It may be async. It must raise an exception if there is no file. By default it calls
        `submit` and `poll`.
        """
        job = self.submit(sandbox, source, options)
        while (found := self.poll(sandbox, job)) is None:
            advised = self._known.baseline.polling
            self.sleep(advised.every / 1_000_000 if advised else 1)
        return found

    def submit(self, sandbox: SandboxHandle, source: str, options: Mapping[str, str]) -> Any:  # noqa: ANN401 - yours
        """Submit a video and return a value that `poll` accepts."""
        raise NotImplementedError(f"{type(self).__name__} has neither upscale nor submit")

    def poll(self, sandbox: SandboxHandle, job: Any) -> Any:  # noqa: ANN401 - yours
        """Return the finished file as `upscale` does, or None while the job is running."""
        raise NotImplementedError(f"{type(self).__name__} has neither upscale nor poll")

    def sleep(self, seconds: float) -> None:
        """Advance the sandbox clock. Raises RunawayError if the total exceeds `patience`."""
        self._slept += seconds
        if self._slept > self.patience:
            raise RunawayError(f"it has waited {self.patience:g} s in total and continues")
        self.sandbox.clock.advance(round(max(0.0, seconds), 6))

    # -- rules

    @initialize(scenario=st.runner().flatmap(lambda machine: machine.scenarios()))
    def begin(self, scenario: str | None) -> None:
        """Create the sandbox."""
        self.sandbox = self.make_sandbox(scenario=scenario, clock="auto", seed=0)

    @rule(order=st.runner().flatmap(lambda machine: machine.orders()))
    def upscale_valid(self, order: Order) -> None:
        """Upscale with an order that the provider accepts, without faults."""
        self._call(order)

    @rule(order=st.runner().flatmap(lambda machine: machine.flawed_orders()))
    def upscale_invalid(self, order: Order) -> None:
        """Upscale with an order that the provider must refuse."""
        self._call(order)

    @rule(
        order=st.runner().flatmap(lambda machine: machine.orders()),
        plan=st.runner().flatmap(lambda machine: machine.plans()),
    )
    def upscale_under_faults(self, order: Order, plan: FaultPlan) -> None:
        """Upscale while faults happen."""
        self._call(order, plan=plan)

    @rule(order=st.runner().flatmap(lambda machine: machine.orders()))
    def upscale_what_fails(self, order: Order) -> None:
        """Upscale with an order whose job the provider accepts and then fails."""
        self._call(order, doomed=True)

    @rule(seconds=st.sampled_from([1, 61, 3600]))
    def advance(self, seconds: int) -> None:
        """Advance the clock; prices may change."""
        self.sandbox.clock.advance(seconds)

    @rule(on=st.booleans())
    def switch_webhook(self, *, on: bool) -> None:
        """Switch the webhook URL on or off."""
        self.webhook_url = self.sandbox.inbox.url if on else None

    @rule(dollars=st.sampled_from([1000, 0]))
    def set_balance(self, dollars: int) -> None:
        """Set the balance of the account, which may become zero."""
        self.sandbox.set_balance(self.provider, dollars * self._known.model.billing.unit_per)

    # -- invariants

    @invariant()
    def polls_as_advised(self) -> None:
        """Check that the client polls as advised, stops at the end and obeys Retry-After."""
        if not hasattr(self, "sandbox"):
            return
        card = self.sandbox.read_report_card(all_pauses=True)
        mistakes = [
            found
            for name in POLLING_FINDINGS
            for found in card.named(name)
            if self._is_of_one_call(found)
        ]
        if mistakes:
            raise AssertionError(replace(card, findings=tuple(mistakes)).text)

    # -- what rules draw from; override them for other orders and plans

    def scenarios(self) -> st.SearchStrategy[str | None]:
        """Return a strategy of scenarios: no scenario, and one in which prices change."""
        changing = f"{self.provider}/{PRICES_CHANGE}"
        return st.sampled_from([None, *(n for n in library().names() if n == changing)])

    def orders(self) -> st.SearchStrategy[Order]:
        """Return a strategy of orders that the provider accepts."""
        return _orders(self.model, self.longest)

    def flawed_orders(self) -> st.SearchStrategy[Order]:
        """Return a strategy of orders that the provider must refuse."""
        return _flawed(self.model)

    def plans(self) -> st.SearchStrategy[FaultPlan]:
        """Return a strategy of fault plans."""
        return _plans(self.provider)

    def first_plans(self) -> tuple[FaultPlan, ...]:
        """Return the plans that every run tries first: responses lost after a charge."""
        return first_plans(self.provider)

    @property
    def provider(self) -> str:
        """The provider of the model."""
        return self._known.adapter.provider

    def teardown(self) -> None:
        """Remove the sandbox and the files."""
        if hasattr(self, "sandbox"):
            self.sandbox.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- inside

    def _is_of_one_call(self, found: Mapping[str, Any]) -> bool:
        """Return whether a finding concerns the last call; fast polls across two calls are fine."""
        return bool(found["exchanges"]) and found["exchanges"][0]["number"] > self._last

    def _call(self, order: Order, *, plan: FaultPlan | None = None, doomed: bool = False) -> None:
        """Call the client, then check the result."""
        sandbox = self.sandbox
        known = {job["id"] for job in sandbox.jobs}
        self._last = last = sandbox.admin("GET", "journal?limit=0")["total"]
        for fault in plan or ():
            sandbox.arm(fault)
        self._slept, self._doomed = 0.0, doomed
        result, error = self._run(order, known)
        sandbox.admin("DELETE", "faults")
        jobs = [job for job in sandbox.jobs if job["id"] not in known]
        outcome = CallOutcome(
            order=order,
            result=result,
            error=error,
            jobs=jobs,
            charges=[e for e in sandbox.ledger.entries() if _is_charge(e, jobs)],
            exchanges=sandbox.admin("GET", f"journal?since={last}&limit=1000")["exchanges"],
            disturbed=bool(plan) or doomed,
        )
        text = find_mistake(sandbox, outcome)
        if text:
            raise AssertionError(f"{text}\n{journal_text(sandbox)}") from error

    def _run(self, order: Order, known: set[str]) -> tuple[Any, BaseException | None]:
        sandbox, target = self.sandbox, self.sandbox.target
        wire = CountingWire(target.wire, self.most_requests, lambda: self._doom(known))
        sandbox.target = replace(target, wire=wire)
        source = order.source(target.base_url)
        try:
            with ExitStack() as stack:
                if self.intercepts:
                    stack.enter_context(sandbox.intercept())
                stack.enter_context(replace_sleep(self.sleep))
                found = self.upscale(sandbox, source, dict(order.options))
                return (asyncio.run(found) if inspect.iscoroutine(found) else found), None
        except NotImplementedError:
            raise  # without a client there is nothing to check
        except RunawayError as runaway:
            return None, runaway
        except Exception as error:  # noqa: BLE001 - the verdict covers any exception of the client
            return None, error
        finally:
            sandbox.target = target

    def _doom(self, known: set[str]) -> None:
        """Make the client's new job fail, if the test wants this; only one job fails."""
        if not self._doomed:
            return
        for job in self.sandbox.jobs:
            if job["id"] not in known and job["state"] not in TERMINAL:
                self._doomed = False
                self.sandbox.set_state(job["id"], "failed")


def run_client(
    machine: type[ClientMachine],
    *,
    sandboxes: Sandboxes | None = None,
    settings: settings | None = None,
) -> None:
    """Run a machine; pass the fixture `upsim_sandboxes` to use its sandboxes.

    Raises ArgumentError for an argument of another kind.
    """
    is_machine = ClientMachine in getattr(machine, "__mro__", ())
    check_true("machine", machine, "your subclass of ClientMachine", valid=is_machine)
    if sandboxes is not None:
        form = "the fixture upsim_sandboxes"
        check_true("sandboxes", sandboxes, form, valid=callable(sandboxes))
    if settings is not None:
        check_kind("settings", settings, type(SETTINGS), "hypothesis.settings")
    if sandboxes is not None:
        made = {"make_sandbox": staticmethod(sandboxes), "__module__": machine.__module__}
        machine = cast("type[ClientMachine]", type(machine.__name__, (machine,), made))
    try:
        try_first_calls(machine)
        run_state_machine_as_test(machine, settings=settings or SETTINGS)
    except AssertionError as found:
        raise found.with_traceback(None) from found.__cause__


def _is_charge(entry: Mapping[str, Any], jobs: list[dict[str, Any]]) -> bool:
    return entry["kind"] == "charge" and entry["job"] in {job["id"] for job in jobs}


@cache
def _orders(model: str, longest: float) -> st.SearchStrategy[Order]:
    return valid_orders(model, longest=longest)


@cache
def _flawed(model: str) -> st.SearchStrategy[Order]:
    return invalid_orders(model)


@cache
def _plans(provider: str) -> st.SearchStrategy[FaultPlan]:
    return fault_plans(provider)
