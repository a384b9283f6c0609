"""Faults of a sandbox: armed, counted, drawn from their own streams, and kept in the log."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.http.faults import patient
from upsim import Simulator
from upsim.core.baseline import BaselineError
from upsim.core.events import Event, FaultArmed, FaultDisarmed, FaultMatched
from upsim.core.faults import Armed, FaultRule, Occasion, Word
from upsim.engine.event_log import compacted
from upsim.engine.faults import (
    FaultTakenError,
    arm,
    disarm,
    free_id,
    match,
    webhook_action,
)
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_state import SandboxState

POLL = Occasion("vicsee", "tasks/get", "poll")


def rule(name: str = "f1", **fields: object) -> FaultRule:
    """Return a fault of VicSee's polls."""
    chosen = {"provider": "vicsee", "at": "poll", "do": Word.DROP, **fields}
    return FaultRule(id=name, **chosen)  # type: ignore[arg-type]  # the fields of a rule


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Return a sandbox in which nothing happened yet."""
    with Simulator(clock="manual", seed=5) as sim:
        yield sim.sandbox


def outcomes(sandbox: Sandbox, calls: int) -> list[str | None]:
    """Return which fault fired at each of the given number of polls."""
    found = [match(sandbox, "poll", POLL) for _ in range(calls)]
    return [None if rule is None else rule.id for rule in found]


def test_a_fault_fires_and_counts(sandbox: Sandbox) -> None:
    """Matches and firings are counted apart."""
    arm(sandbox, rule(after=1))
    outcomes(sandbox, 3)
    assert Armed(rule(after=1), matched=3, fired=2) == sandbox.state.faults["f1"]


def test_the_first_that_fires_acts(sandbox: Sandbox) -> None:
    """A later fault has its turn when those before it let the call pass."""
    arm(sandbox, rule("a", every=2))
    arm(sandbox, rule("b"))
    assert ["b", "a", "b", "a"] == outcomes(sandbox, 4)


def test_a_fault_that_has_done_its_work_counts_no_more(sandbox: Sandbox) -> None:
    """After `first` firings, calls are as if it were not there."""
    arm(sandbox, rule(first=1))
    outcomes(sandbox, 5)
    assert 1 == sandbox.state.faults["f1"].matched


def test_the_name_of_a_fault_is_its_own(sandbox: Sandbox) -> None:
    """A second fault of the same name is refused."""
    arm(sandbox, rule())
    with pytest.raises(FaultTakenError, match="'f1'"):
        arm(sandbox, rule())


def test_names_are_found(sandbox: Sandbox) -> None:
    """The first free number is taken."""
    arm(sandbox, rule("f1"))
    arm(sandbox, rule("f3"))
    assert "f2" == free_id(sandbox.state.faults)


def test_a_planned_fault_must_fit_its_provider(sandbox: Sandbox) -> None:
    """A fault that can never match is refused when it is armed."""
    with pytest.raises(
        BaselineError, match=r"fault f1: generate \(submit\) never reaches the stage poll"
    ):
        sandbox.planned_faults.start([rule(on="generate")])


def test_chance_is_repeated_by_the_seed() -> None:
    """Two sandboxes of one seed see the same faults."""
    seen = []
    for _ in range(2):
        with Simulator(clock="manual", seed=9) as sim:
            arm(sim.sandbox, rule(probability=Decimal("0.5")))
            seen.append(outcomes(sim.sandbox, 40))
    assert seen[0] == seen[1]


def test_chance_is_really_a_chance(sandbox: Sandbox) -> None:
    """Of many calls about as many fail as the probability says."""
    arm(sandbox, rule(probability=Decimal("0.5")))
    assert 400 < sum(found is not None for found in outcomes(sandbox, 1000)) < 600


def test_another_fault_shifts_no_chance(sandbox: Sandbox) -> None:
    """Each fault draws from a stream of its own."""
    arm(sandbox, rule("a", probability=Decimal("0.5")))
    alone = outcomes(sandbox, 30)
    with Simulator(clock="manual", seed=5) as sim:
        arm(sim.sandbox, rule("b", provider="piapi", probability=Decimal("0.5")))
        arm(sim.sandbox, rule("a", probability=Decimal("0.5")))
        assert alone == outcomes(sim.sandbox, 30)


def test_a_reset_begins_anew(sandbox: Sandbox) -> None:
    """After a reset the scenario's faults do again what they did, and no other is left."""
    sandbox.planned_faults.start([rule(probability=Decimal("0.5"), first=3)])
    before = outcomes(sandbox, 20)
    arm(sandbox, rule("other"))
    sandbox.planned_faults.reset()
    assert before == outcomes(sandbox, 20)


def test_the_log_gives_the_same_faults(sandbox: Sandbox) -> None:
    """Replaying the events arms, counts and disarms as it was."""
    arm(sandbox, rule("a", every=2))
    arm(sandbox, rule("b"))
    outcomes(sandbox, 5)
    disarm(sandbox, "b")
    state = SandboxState()
    state.apply(sandbox.events())
    assert state.faults == sandbox.state.faults


def test_a_compacted_log_gives_the_same_faults(sandbox: Sandbox) -> None:
    """Matches are summed, and what was disarmed is gone."""
    for name in ("a", "b"):
        arm(sandbox, rule(name, every=2))
    outcomes(sandbox, 7)
    disarm(sandbox, "a")
    arm(sandbox, rule("a", first=4))
    outcomes(sandbox, 3)
    state = SandboxState()
    state.apply(compacted(sandbox.events()))
    assert state.faults == sandbox.state.faults


def test_a_compacted_log_has_few_events_of_a_fault() -> None:
    """However often a fault was met, one event says it for each outcome."""
    events: list[Event] = [FaultArmed(0, rule())]
    events += [FaultMatched(n, "f1", n % 2 == 0) for n in range(50)]
    found = [event for event in compacted(events) if isinstance(event, FaultMatched)]
    assert [25, 25] == [event.times for event in found]


def test_a_disarmed_fault_leaves_nothing_in_a_compacted_log() -> None:
    """Arming, matching and disarming fall away together."""
    events: list[Event] = [
        FaultArmed(0, rule()),
        FaultMatched(1, "f1", fired=True),
        FaultDisarmed(2, "f1"),
    ]
    kinds = {type(event) for event in compacted(events)}
    assert not kinds & {FaultArmed, FaultMatched, FaultDisarmed}


def test_a_scenario_that_does_not_fit_starts_no_server(tmp_path: Path) -> None:
    """A server does not start with a fault that cannot fire, and the error names its place."""
    path = tmp_path / "a.yaml"
    path.write_text(
        "extends: piapi/baseline\nfaults: [{at: poll, on: task/create, do: corrupt}]\n", "utf-8"
    )
    with pytest.raises(ValueError, match=r"2:21: faults\[0\]\.on: task/create \(submit\)"):
        Simulator(scenario=str(path))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"at": "webhook", "do": Word.LOSE}, [Word.LOSE, None]),
        ({"at": "webhook", "do": Word.LOSE, "when": (("video_url", "other"),)}, [None, None]),
        ({"at": "poll", "do": Word.DROP}, [None, None]),
    ],
)
def test_a_webhook_is_met_by_its_job(fault: dict[str, object], expected: list[object]) -> None:
    """The inputs of the job, its account and its state select; other stages are not asked."""
    with Simulator(clock="manual") as sim:
        client = patient(sim)
        client.job()
        (job,) = sim.sandbox.state.jobs.values()
        arm(sim.sandbox, rule("f1", first=1, **fault))
        found = [webhook_action(sim.sandbox, job) for _ in range(2)]
    assert expected == [rule and rule.do for rule in found]


def test_no_webhook_is_met_where_nothing_is_armed() -> None:
    """A sandbox without faults skips the search for webhook faults."""
    with Simulator(clock="manual") as sim:
        patient(sim).job()
        (job,) = sim.sandbox.state.jobs.values()
        assert webhook_action(sim.sandbox, job) is None
