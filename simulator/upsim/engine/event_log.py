"""The event log: appended with an expected version, and compacted once jobs are forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
from msgspec.structs import replace as copy

from upsim.core.events import (
    ClockMoved,
    CountsCarried,
    EntriesCarried,
    Event,
    FaultArmed,
    FaultDisarmed,
    FaultMatched,
    JobAccepted,
    JobsForgotten,
    QuotaUsed,
    UploadsForgotten,
    drawn_by,
)
from upsim.core.instants import Instant
from upsim.core.ledger import Entry


class VersionConflictError(RuntimeError):
    """Another writer appended first: the log is not at the expected version."""


class EventLog(Protocol):
    """The store of the events of all sandboxes; a durable or shared store may replace it."""

    def append(self, sandbox: str, expected_version: int, events: Sequence[Event]) -> int:
        """Append events and return the new version. Raises VersionConflictError."""

    def read(self, sandbox: str) -> Sequence[Event]:
        """Return the events that produce the sandbox's current state, in order."""

    def drop(self, sandbox: str) -> None:
        """Remove the events of a sandbox."""


EVENTS_PER_JOB = 5
EVENTS_PER_UPLOAD = 3


class MemoryLog:
    """Event logs in memory.

    Events of forgotten jobs and uploads, and of ended rate-limit windows, are obsolete. When
    they are about half of the log, the log is rewritten without them. The ledger entries of
    an account are then summed into one `EntriesCarried`. The shorter log gives the same
    state.
    """

    def __init__(self, worth_it: int = 4096) -> None:
        """Start without sandboxes; fewer than `worth_it` obsolete events are not removed."""
        self._worth_it = worth_it
        self._kept: dict[str, _Kept] = {}

    def append(self, sandbox: str, expected_version: int, events: Sequence[Event]) -> int:
        """Append events and return the new version."""
        kept = self._kept.get(sandbox)
        if kept is None:
            kept = self._kept[sandbox] = _Kept()
        if kept.version != expected_version:
            msg = f"{sandbox} is at version {kept.version}, not {expected_version}"
            raise VersionConflictError(msg)
        kept.events.extend(events)
        kept.version = version = expected_version + len(events)
        for event in events:
            if type(event) in _ENDS:
                kept.dead += _dead_with(event)
                if kept.dead >= self._worth_it and kept.dead * 2 > len(kept.events):
                    kept.events, kept.dead = compacted(kept.events), 0
        return version

    def read(self, sandbox: str) -> Sequence[Event]:
        """Return the compacted events, in order."""
        kept = self._kept.get(sandbox)
        return tuple(kept.events) if kept else ()

    def drop(self, sandbox: str) -> None:
        """Remove the events of a sandbox."""
        self._kept.pop(sandbox, None)


class _Kept(msgspec.Struct):
    """The log of one sandbox; `dead` is the approximate number of obsolete events."""

    events: list[Event] = msgspec.field(default_factory=list)
    version: int = 0
    dead: int = 0


_ONE_EACH = frozenset({QuotaUsed, FaultMatched, ClockMoved})
_ENDS = _ONE_EACH | {JobsForgotten, UploadsForgotten}


def _dead_with(event: Event) -> int:
    """Return the approximate number of events that this event makes obsolete."""
    if type(event) in _ONE_EACH:
        return 1
    if isinstance(event, JobsForgotten):
        return EVENTS_PER_JOB * len(event.jobs)
    return EVENTS_PER_UPLOAD * len(event.uploads) if isinstance(event, UploadsForgotten) else 0


def compacted(events: Sequence[Event]) -> list[Event]:
    """Return the events without those that are forgotten, disarmed or past."""
    sums: dict[tuple[int, str], EntriesCarried] = {}
    quotas: dict[tuple[int, str], QuotaUsed] = {}
    kept: list[Event] = []
    for event, end in zip(events, _ends(events), strict=True):
        if isinstance(event, EntriesCarried):
            _add(sums, event)
        elif isinstance(event, QuotaUsed):
            _use(quotas, event)
        elif end is None:
            kept.append(event)
        elif isinstance(event, Entry):
            _add(sums, EntriesCarried(end, event.account, event.amount, event.unit))
    kept = [event for event in kept if not isinstance(event, _SUMMED)]
    sum_of = (*sums.values(), *quotas.values(), *_faults(events), *_clock(events))
    return [*kept, *sum_of, _counts(events)]


_SUMMED = (
    JobsForgotten,
    UploadsForgotten,
    CountsCarried,
    FaultArmed,
    FaultMatched,
    FaultDisarmed,
    ClockMoved,
)


def _clock(events: Sequence[Event]) -> list[Event]:
    """The last move of the clock, with all the time that an `auto` clock skipped by itself."""
    moves = [event for event in events if isinstance(event, ClockMoved)]
    passed = sum(move.passed for move in moves)
    return [copy(move, passed=passed) for move in moves[-1:]]


def _ends(events: Sequence[Event]) -> list[Instant | None]:
    """Return, for each event, when its job or upload is next forgotten; ids may be reused then."""
    upcoming: dict[str, Instant] = {}
    ends: list[Instant | None] = []
    for event in reversed(events):
        if isinstance(event, JobsForgotten):
            upcoming.update(dict.fromkeys(event.jobs, event.at))
        elif isinstance(event, UploadsForgotten):
            upcoming.update(dict.fromkeys(event.uploads, event.at))
        ends.append(upcoming.get(_subject(event)))
    return ends[::-1]


def _subject(event: Event) -> str:
    """Return the id of the job or upload of an event."""
    return getattr(event, "job", None) or getattr(event, "upload", None) or ""


def _add(sums: dict[tuple[int, str], EntriesCarried], more: EntriesCarried) -> None:
    key = (more.account, more.unit)
    known = sums.get(key)
    if known is not None:
        more = copy(more, at=max(known.at, more.at), amount=known.amount + more.amount)
    sums[key] = more


def _use(quotas: dict[tuple[int, str], QuotaUsed], more: QuotaUsed) -> None:
    key = (more.account, more.limit)
    known = quotas.get(key)
    if known is not None and known.window == more.window:
        more = copy(more, places=known.places + more.places)
    quotas[key] = more


def _faults(events: Sequence[Event]) -> list[Event]:
    """Return the events of the armed faults, with their matches summed."""
    armed: dict[str, FaultArmed] = {}
    sums: dict[tuple[str, bool], FaultMatched] = {}
    for event in events:
        if isinstance(event, FaultArmed):
            armed[event.rule.id] = event
        elif isinstance(event, FaultMatched):
            known = sums.get((event.fault, event.fired))
            times = event.times + (known.times if known else 0)
            sums[event.fault, event.fired] = copy(event, times=times)
        elif isinstance(event, FaultDisarmed):
            del armed[event.fault]
            for fired in (False, True):
                sums.pop((event.fault, fired), None)
    return [*armed.values(), *sums.values()]


def _counts(events: Sequence[Event]) -> CountsCarried:
    """How far ledger lines, accepted jobs and random draws are numbered."""
    entries = jobs = 0
    drawn: dict[str, int] = {}
    for event in events:
        purpose = drawn_by(event)
        if purpose is not None:
            drawn[purpose] = drawn.get(purpose, 0) + 1
        if isinstance(event, CountsCarried):
            entries, jobs, drawn = max(entries, event.entries), event.jobs, dict(event.drawn)
        elif isinstance(event, Entry):
            entries = max(entries, event.number)
        elif isinstance(event, JobAccepted):
            jobs += 1
    return CountsCarried(events[-1].at, entries, jobs, tuple(drawn.items()))
