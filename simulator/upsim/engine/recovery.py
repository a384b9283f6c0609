"""Continue a sandbox of an earlier server from what its store kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from upsim.core.events import ChangesPlanned, ClockMoved, Event, JobAccepted, RulesChanged
from upsim.core.instants import LATEST, Instant
from upsim.core.provider import Provider
from upsim.engine.clock import parse_mode, wall_clock
from upsim.engine.planned_changes import ScenarioLookup, followed, planned_changes
from upsim.engine.rule_changes import PlannedRules
from upsim.engine.rule_versions import RulesId, RuleVersions
from upsim.engine.sandbox import Sandbox
from upsim.engine.settings import SandboxSettings
from upsim.engine.snapshots import Snapshot, folded
from upsim.engine.store import KeptSandbox
from upsim.engine.timeline import Past
from upsim.scenario.loader import Library
from upsim.scenario.model import Scenario


def snapshot_of(
    kept: KeptSandbox,
    library: Library,
    main: Scenario | None,
    providers: Mapping[str, Provider],
    choices: SandboxSettings,
) -> Snapshot:
    """Return the state in which a sandbox continues, at the present instant.

    The rules are those of the kept events; where the files have changed since, `follow_files` is
    needed afterwards.
    """
    record, state = kept.record, folded(kept.events)
    versions = RuleVersions(ScenarioLookup(library, main), providers, choices)
    past = Past(record.began, kept.latest, kept.events, state)
    present, older = _rules_of(kept, library, main)
    versions.continue_from(present, older)
    return Snapshot(
        at=_present(past.clock, kept.latest),
        seed=record.seed,
        past=past,
        choices=choices,
        rules=PlannedRules(versions, (), ()),
        records=(),
        record_count=0,
    )


def follow_files(
    sandbox: Sandbox, kept: KeptSandbox, library: Library, main: Scenario | None
) -> bool:
    """Continue the plan of a sandbox; if its scenario files have changed, apply them as a reload.

    Return whether they have changed. Raises BaselineError for rules that it cannot have.
    """
    before = kept.record.scenario
    same = _values(before) == _values(main)
    old = main if same else before
    changes = planned_changes(sandbox, library, old)
    counts = [len(e.instants) for e in kept.events if isinstance(e, ChangesPlanned)]
    plan = tuple(changes[len(changes) - counts[-1] :] if counts else ())
    applied = plan[: sandbox.state.changes_applied]
    faults = applied[-1].faults if applied else old.faults if old else ()
    if applied:
        sandbox.rules.use(applied[-1].scenario_of)
    sandbox.rule_changes.continue_with(PlannedRules(sandbox.rules, plan, faults))
    is_current = all(
        sandbox.rules.looked_up(provider).baseline.digest
        == sandbox.rules.scenario(provider).baseline.digest
        for provider in _current(kept.events)
    )
    if same and is_current:
        return False
    followed(sandbox, library, main).apply()
    return True


def _values(scenario: Scenario | None) -> object:
    return None if scenario is None else scenario.values


def _present(last: ClockMoved, latest: Instant) -> Instant:
    """Return the present instant of a clock, which ran on unless only commands move it.

    It is never before `latest`, even if the wall clock was put back.
    """
    mode, rate = parse_mode(last.mode)
    runs = mode in ("real", "scaled")
    passed = max(0, wall_clock() - last.wall) * rate if runs else 0
    return min(max(last.at + passed, latest), LATEST)


def _current(events: Iterable[Event]) -> dict[str, str]:
    """Return the digest of the last rules that were in force, by provider."""
    found: dict[str, str] = {}
    for event in events:
        if isinstance(event, JobAccepted | RulesChanged):
            found[event.provider] = event.rules
    return found


def _rules_of(
    kept: KeptSandbox, library: Library, main: Scenario | None
) -> tuple[dict[str, Scenario], dict[RulesId, Scenario]]:
    """Return the last rules by provider, and those of jobs that were accepted under others.

    Rules that are still as in the files are left out; so are those that cannot be read.
    """
    lookup, current = ScenarioLookup(library, main), _current(kept.events)
    jobs = {RulesId(e.provider, e.rules) for e in kept.events if isinstance(e, JobAccepted)}
    wanted = jobs | {RulesId(*item) for item in current.items()}
    known = {one: kept.rules[one] for one in wanted if one in kept.rules}
    present = {
        one.provider: scenario
        for one, scenario in known.items()
        if current[one.provider] == one.digest
        and lookup(one.provider).baseline.digest != one.digest
    }
    older = {
        one: scenario for one, scenario in known.items() if current[one.provider] != one.digest
    }
    return present, older
