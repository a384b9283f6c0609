"""Continue a sandbox of an earlier server from what its store kept."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import msgspec
from msgspec.structs import replace

from upsim.core.baseline import BaselineError
from upsim.core.events import ChangesPlanned, ClockMoved, Event, JobAccepted, RulesChanged
from upsim.core.instants import LATEST, Instant
from upsim.core.provider import Provider
from upsim.engine.clock import parse_mode, wall_clock
from upsim.engine.exceptions import StoreError
from upsim.engine.planned_changes import changes_of, followed
from upsim.engine.rule_changes import PlannedRules
from upsim.engine.rule_versions import RulesId, RuleVersions
from upsim.engine.sandbox import Sandbox
from upsim.engine.scenario_lookup import ScenarioLookup
from upsim.engine.settings import SandboxSettings
from upsim.engine.snapshots import Snapshot, folded
from upsim.engine.store import KeptSandbox
from upsim.engine.timeline import Past
from upsim.scenario.loader import Library, ScenarioError, UnknownScenarioError
from upsim.scenario.model import Scenario

UNREADABLE = (
    msgspec.MsgspecError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    zlib.error,
)
"""What reading damaged bytes can raise: they may still be well-formed, but have other values."""


@contextmanager
def damage_named(store: str) -> Iterator[None]:
    """Raise StoreError, with the store and what to do, if its content cannot be used.

    Errors of scenario files and of their rules stay as they are.
    """
    try:
        yield
    except (StoreError, ScenarioError, UnknownScenarioError, BaselineError):
        raise
    except UNREADABLE as error:
        what = f"{type(error).__name__}: {str(error)[:200]}"
        raise StoreError(
            f"the store {store} is damaged ({what}); `upsim store check {store}` says what is lost"
        ) from error


def snapshot_of(
    kept: KeptSandbox,
    library: Library,
    main: Scenario | None,
    providers: Mapping[str, Provider],
    choices: SandboxSettings,
) -> Snapshot:
    """Return a kept sandbox as a snapshot of its last instant, with the rules that it had then."""
    record, state = kept.record, folded(kept.events)
    old = main if _is_same(kept, main) else record.scenario
    versions = RuleVersions(ScenarioLookup(library, old), providers, choices)
    versions.continue_from(*_rules_of(kept, library, old))
    records, count = kept.requests(versions, state)
    return Snapshot(
        at=kept.latest,
        seed=record.seed,
        past=Past(record.began, kept.latest, kept.events, state),
        choices=choices,
        rules=_planned(kept, library, old, versions, state.changes_applied),
        records=tuple(records[max(0, len(records) - choices.journal_max) :]),
        record_count=count,
        report=kept.report,
    )


def at_present(snapshot: Snapshot) -> Snapshot:
    """Return a snapshot whose clock shows the present: it ran on, unless only commands move it.

    The clock is never put back, even if the wall clock was.
    """
    return replace(snapshot, at=present_of(snapshot.past.clock, snapshot.at))


def present_of(last: ClockMoved, latest: Instant) -> Instant:
    """Return the present time of a clock after its last move, not before `latest`."""
    mode, rate = parse_mode(last.mode)
    runs = mode in ("real", "scaled")
    passed = max(0, wall_clock() - last.wall) * rate if runs else 0
    return min(max(last.at + passed, latest), LATEST)


def follow_files(
    sandbox: Sandbox, kept: KeptSandbox, library: Library, main: Scenario | None
) -> bool:
    """Apply the scenario files as a reload if they have changed since; return whether they have.

    Raises BaselineError for rules that the sandbox cannot have.
    """
    is_current = all(
        sandbox.rules.looked_up(provider).baseline.digest
        == sandbox.rules.scenario(provider).baseline.digest
        for provider in _current(kept.events)
    )
    if _is_same(kept, main) and is_current:
        return False
    followed(sandbox, library, main).apply()
    return True


def _is_same(kept: KeptSandbox, main: Scenario | None) -> bool:
    """Return whether the scenario of a sandbox is as it was."""
    before = kept.record.scenario
    if before is None or main is None:
        return before is main
    return before.values == main.values


def _planned(
    kept: KeptSandbox,
    library: Library,
    main: Scenario | None,
    versions: RuleVersions,
    applied: int,
) -> PlannedRules:
    """Return the rules with the plan of a scenario, whose instants are in the last plan's event."""
    changes = changes_of(library, main, kept.record.began)
    counts = [len(event.instants) for event in kept.events if isinstance(event, ChangesPlanned)]
    plan = tuple(changes[len(changes) - counts[-1] :] if counts else ())
    past = plan[:applied]
    if past:
        versions.use(past[-1].scenario_of)
    faults = past[-1].faults if past else main.faults if main else ()
    return PlannedRules(versions, plan, faults)


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
