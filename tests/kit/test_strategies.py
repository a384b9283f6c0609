"""Orders and fault plans of the kit, tried at every model that there is."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from upsim.client import model_names
from upsim.core.faults import STAGES
from upsim.kit import Clip, FaultPlan, Order, clips, fault_plans, invalid_orders, valid_orders
from upsim.kit.sandboxes import own_sandbox
from upsim.providers import discover
from upsim.testing.sandboxes import SandboxHandle

each_model = pytest.mark.parametrize("model", model_names())
MANY = settings(
    max_examples=20,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
RICH = 10**12


@pytest.fixture
def rich(upsim_sandboxes: Callable[..., SandboxHandle]) -> SandboxHandle:
    """Return a sandbox whose accounts can pay for everything."""
    return upsim_sandboxes(balance=RICH, clock="manual")


def answered(sandbox: SandboxHandle, order: Order) -> str | None:
    """Return by what the submit of an order is refused, if it is."""
    request = order.request(sandbox.target.base_url)
    http = sandbox.http(order.model.partition("/")[0])
    http.request(request.method, request.target, json=request.body)
    (newest,) = sandbox.admin("GET", "journal?limit=1")["exchanges"]
    found: str | None = newest["refused_by"]
    return found


@each_model
def test_valid_orders_are_accepted(rich: SandboxHandle, model: str) -> None:
    """The provider accepts every generated order, also at the edges of its limits."""

    @MANY
    @given(valid_orders(model))
    def judge(order: Order) -> None:
        assert answered(rich, order) is None

    judge()


@each_model
def test_invalid_orders_are_refused_with_the_expected_error(
    rich: SandboxHandle, model: str
) -> None:
    """Each generated invalid order gets the catalogue error that belongs to it."""

    @MANY
    @given(invalid_orders(model))
    def judge(order: Order) -> None:
        assert order.refused_by == answered(rich, order)

    judge()


@each_model
def test_every_limit_of_the_baseline_is_tried(model: str) -> None:
    """A model with a maximum length gets clips of exactly that length and slightly longer ones."""
    lengths: set[tuple[str, Decimal]] = set()

    @settings(MANY, max_examples=400)
    @given(st.one_of(valid_orders(model), invalid_orders(model)))
    def look(order: Order) -> None:
        if order.clip is not None:
            lengths.add((order.flaw, order.clip.seconds))

    look()
    flaws = {flaw for flaw, _ in lengths}
    longest = max(seconds for flaw, seconds in lengths if not flaw)
    too_long = [seconds for flaw, seconds in lengths if flaw == "too long"]
    assert flaws & {"too long", "too many frames"}
    assert all(longest < seconds < longest + 1 for seconds in too_long)


@pytest.mark.parametrize("provider", sorted(discover()))
def test_every_fault_can_be_armed(provider: str) -> None:
    """The admin API accepts every generated fault plan, at all stages."""
    sandbox = own_sandbox(clock="manual")
    stages: set[str] = set()

    @settings(MANY, max_examples=150)
    @given(fault_plans(provider))
    def judge(plan: FaultPlan) -> None:
        for fault in plan:
            stages.add(sandbox.arm(fault)["at"])
        sandbox.admin("DELETE", "faults")

    with sandbox:
        judge()
    found = discover()[provider]
    uploads = any(operation.kind == "upload" for operation in found.operations)
    absent = {"webhook": found.notice is None, "upload": not uploads}
    assert {stage for stage in STAGES if not absent.get(stage)} == stages


@given(clips("venice", longest=2))
def test_clips_are_as_short_as_requested(clip: Clip) -> None:
    """No generated clip is longer than the requested maximum."""
    assert clip.seconds <= 2


def test_bounds_without_a_possible_clip_are_refused() -> None:
    """The error names the bound that allows no clip length."""
    with pytest.raises(ValueError, match="venice accepts no clip of at most 0 s"):
        clips("venice", longest=0)


def test_orders_and_plans_have_a_short_repr() -> None:
    """Orders and fault plans have a short repr, which Hypothesis prints in an example."""
    order = Order("vicsee/x", Clip(64, 48, 10, 11), {"upscale_factor": "4"})
    plan = FaultPlan([{"at": "poll", "first": 2, "do": {"respond": 500}}])
    wrong = Order("vicsee/x", None, flaw="no video", refused_by="missing_video")
    assert "<Order of vicsee/x: 64x48_10fps_1.1s.mp4, upscale_factor=4>" == repr(order)
    assert "<Order of vicsee/x: '', no video: missing_video>" == repr(wrong)
    assert "<FaultPlan first 2 at poll: respond 500>" == repr(plan)
    assert "<FaultPlan nothing>" == repr(FaultPlan())
