"""Snapshots: a sandbox at an instant, from which it can be restored or another one can begin.

A snapshot has what the events decide: accounts, ledger, jobs, uploads, faults, webhooks, rules and
the clock; also the journal and the report card. The inbox begins anew in a sandbox that continues
from a snapshot, and so does the report card in a fork.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from upsim.core.events import ChangeApplied, CountsCarried, Event, RulesChanged
from upsim.core.instants import Instant, iso
from upsim.engine.clock import Clock
from upsim.engine.exceptions import HistoryError
from upsim.engine.request_records import Record
from upsim.engine.rule_changes import PlannedRules
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_state import SandboxState
from upsim.engine.settings import SandboxSettings
from upsim.engine.timeline import Past

DIGITS = 6
"""Fractional digits of the seconds in messages."""


class Snapshot(msgspec.Struct, frozen=True):
    """A sandbox at the instant `at`. Nothing in a snapshot changes.

    `report` is what the report card is computed from; it is empty for an earlier instant. `files`
    are the digests of the uploads.
    """

    at: Instant
    seed: int
    past: Past
    choices: SandboxSettings
    rules: PlannedRules
    records: tuple[Record, ...]
    record_count: int
    report: bytes = b""

    @property
    def state(self) -> SandboxState:
        """The state of the sandbox at that instant."""
        return self.past.state

    @property
    def files(self) -> tuple[str, ...]:
        """The digests of the uploaded files, once for each upload."""
        stored = (upload.stored for upload in self.state.uploads.values())
        return tuple(upload.digest for upload in stored if upload is not None)

    def clock(self) -> Clock:
        """Return a new clock that continues at this instant; a `real` clock shows the wall time."""
        last = self.past.clock
        return Clock(last.mode, start=self.at, pace=last.pace, not_before=self.at)


def take(sandbox: Sandbox) -> Snapshot:
    """Return a snapshot of a sandbox at its present instant."""
    at = sandbox.run_due()
    state = SandboxState()
    state.take_over(sandbox.state)
    sandbox.webhooks.plan_unanswered(state)
    return Snapshot(
        at=at,
        seed=sandbox.seeds.seed,
        past=Past(sandbox.began, at, tuple(sandbox.events()), state),
        choices=sandbox.choices,
        rules=sandbox.rule_changes.planned_rules(),
        records=tuple(sandbox.records),
        record_count=sandbox.records.count,
        report=sandbox.report_card.encoded(),
    )


def events_until(sandbox: Sandbox, at: Instant) -> tuple[Event, ...]:
    """Return the events of a sandbox up to an instant.

    Raises HistoryError for an instant before the kept history, or after the present.
    """
    events = sandbox.events()
    kept_from = max((e.at for e in events if isinstance(e, CountsCarried)), default=sandbox.began)
    if not kept_from <= at <= sandbox.now:
        span = f"from {iso(kept_from, DIGITS)} to {iso(sandbox.now, DIGITS)}"
        msg = f"at: {iso(at, DIGITS)} is outside the kept history of {sandbox.id!r}, {span}"
        raise HistoryError(msg)
    return tuple(event for event in events if event.at <= at)


def folded(events: Iterable[Event]) -> SandboxState:
    """Return the state that events add up to. It takes some 10 µs an event, in any thread."""
    state = SandboxState()
    state.apply(events)
    state.deadlines.prune()
    return state


def check_rules(sandbox: Sandbox, at: Instant) -> None:
    """Raise HistoryError if the rules of a sandbox changed after an instant."""
    later = [e for e in sandbox.events() if isinstance(e, RulesChanged | ChangeApplied)]
    if any(event.at > at for event in later):
        msg = f"at: the rules of {sandbox.id!r} changed after {iso(at, DIGITS)}"
        raise HistoryError(f"{msg}; fork it as it is now, or take snapshots before such changes")


def as_of(sandbox: Sandbox, at: Instant, events: Sequence[Event], state: SandboxState) -> Snapshot:
    """Return a snapshot of a sandbox at an earlier instant, from its events and state then."""
    records = tuple(record for record in sandbox.records if record.at <= at)
    later = len(sandbox.records) - len(records)
    return Snapshot(
        at=at,
        seed=sandbox.seeds.seed,
        past=Past(sandbox.began, at, events, state),
        choices=sandbox.choices,
        rules=sandbox.rule_changes.planned_rules(),
        records=records,
        record_count=sandbox.records.count - later,
    )
