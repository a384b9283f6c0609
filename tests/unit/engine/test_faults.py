"""Faults of a sandbox: armed, counted, drawn from their own streams, and kept in the log."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.http.fault_client import patient
from upsim import Simulator
from upsim.core.baseline import BaselineError
from upsim.core.events import Event, FaultArmed, FaultDisarmed, FaultMatched
from upsim.core.faults import Armed, FaultRule, Occasion, Word
from upsim.engine.event_log import compacted
from upsim.engine.faults import FaultTakenError, arm, disarm, free_id, match, webhook_action
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
    """The matches and the firings of a fault are counted separately."""
    arm(sandbox, rule(after=1))
    outcomes(sandbox, 3)
    assert Armed(rule(after=1), matched=3, fired=2) == sandbox.state.faults["f1"]


def test_the_first_fault_that_fires_acts(sandbox: Sandbox) -> None:
    """A later fault can fire only if the faults before it do not."""
    arm(sandbox, rule("a", every=2))
    arm(sandbox, rule("b"))
    assert ["b", "a", "b", "a"] == outcomes(sandbox, 4)


def test_a_used_up_fault_counts_no_more(sandbox: Sandbox) -> None:
    """After `first` firings, a fault neither fires nor counts matches."""
    arm(sandbox, rule(first=1))
    outcomes(sandbox, 5)
    assert 1 == sandbox.state.faults["f1"].matched


def test_the_name_of_a_fault_is_unique(sandbox: Sandbox) -> None:
    """A second fault with the same name is refused."""
    arm(sandbox, rule())
    with pytest.raises(FaultTakenError, match="'f1'"):
        arm(sandbox, rule())


def test_faults_without_a_name_get_the_first_free_number(sandbox: Sandbox) -> None:
    """A fault without a name is named after the first free number."""
    arm(sandbox, rule("f1"))
    arm(sandbox, rule("f3"))
    assert "f2" == free_id(sandbox.state.faults)


def test_a_planned_fault_must_fit_its_provider(sandbox: Sandbox) -> None:
    """A fault that can never match is refused when it is armed."""
    with pytest.raises(
        BaselineError, match=r"fault f1: generate \(submit\) never reaches the stage poll"
    ):
        sandbox.planned_faults.start([rule(on="generate")])


def test_random_faults_are_repeated_by_the_seed() -> None:
    """Two sandboxes with the same seed have the same random faults."""
    seen = []
    for _ in range(2):
        with Simulator(clock="manual", seed=9) as sim:
            arm(sim.sandbox, rule(probability=Decimal("0.5")))
            seen.append(outcomes(sim.sandbox, 40))
    assert seen[0] == seen[1]


def test_the_share_of_firings_is_the_probability(sandbox: Sandbox) -> None:
    """Over many calls, the share of firings is close to the probability."""
    arm(sandbox, rule(probability=Decimal("0.5")))
    assert 400 < sum(found is not None for found in outcomes(sandbox, 1000)) < 600


def test_another_fault_changes_no_random_draw(sandbox: Sandbox) -> None:
    """Each fault has its own random stream, so another fault does not change its draws."""
    arm(sandbox, rule("a", probability=Decimal("0.5")))
    alone = outcomes(sandbox, 30)
    with Simulator(clock="manual", seed=5) as sim:
        arm(sim.sandbox, rule("b", provider="piapi", probability=Decimal("0.5")))
        arm(sim.sandbox, rule("a", probability=Decimal("0.5")))
        assert alone == outcomes(sim.sandbox, 30)


def test_a_reset_restores_the_scenario_faults(sandbox: Sandbox) -> None:
    """A reset restores the faults of the scenario and removes all other faults."""
    sandbox.planned_faults.start([rule(probability=Decimal("0.5"), first=3)])
    before = outcomes(sandbox, 20)
    arm(sandbox, rule("other"))
    sandbox.planned_faults.reset()
    assert before == outcomes(sandbox, 20)


def test_the_log_gives_the_same_faults(sandbox: Sandbox) -> None:
    """A replay of the events gives the same armed faults and counts."""
    arm(sandbox, rule("a", every=2))
    arm(sandbox, rule("b"))
    outcomes(sandbox, 5)
    disarm(sandbox, "b")
    state = SandboxState()
    state.apply(sandbox.events())
    assert state.faults == sandbox.state.faults


def test_a_compacted_log_gives_the_same_faults(sandbox: Sandbox) -> None:
    """A compacted log keeps the number of matches of each fault, but not disarmed faults."""
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
    """A compacted log has one event for all firings of a fault and one for its other matches."""
    events: list[Event] = [FaultArmed(0, rule())]
    events += [FaultMatched(n, "f1", n % 2 == 0) for n in range(50)]
    found = [event for event in compacted(events) if isinstance(event, FaultMatched)]
    assert [25, 25] == [event.times for event in found]


def test_a_disarmed_fault_is_removed_by_a_compaction() -> None:
    """A compaction removes the arming, matches and disarming of a disarmed fault."""
    events: list[Event] = [
        FaultArmed(0, rule()),
        FaultMatched(1, "f1", fired=True),
        FaultDisarmed(2, "f1"),
    ]
    kinds = {type(event) for event in compacted(events)}
    assert not kinds & {FaultArmed, FaultMatched, FaultDisarmed}


def test_a_server_with_an_invalid_fault_does_not_start(tmp_path: Path) -> None:
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
def test_a_webhook_fault_matches_by_its_job(
    fault: dict[str, object], expected: list[object]
) -> None:
    """A webhook fault selects by the job's inputs, account and state; other stages do not match."""
    with Simulator(clock="manual") as sim:
        client = patient(sim)
        client.job()
        (job,) = sim.sandbox.state.jobs.values()
        arm(sim.sandbox, rule("f1", first=1, **fault))
        found = [webhook_action(sim.sandbox, job) for _ in range(2)]
    assert expected == [rule and rule.do for rule in found]


def test_no_webhook_fault_is_searched_without_faults() -> None:
    """A sandbox without faults skips the search for webhook faults."""
    with Simulator(clock="manual") as sim:
        patient(sim).job()
        (job,) = sim.sandbox.state.jobs.values()
        assert webhook_action(sim.sandbox, job) is None
