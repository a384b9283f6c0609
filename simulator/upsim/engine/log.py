"""The event log: appended with an expected version, and compacted once jobs are forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from upsim.core.events import EntriesCarried, Event, JobAccepted, JobsForgotten
from upsim.core.ledger import Entry


class VersionConflictError(RuntimeError):
    """Somebody else appended first: the log is not at the version that was expected."""


class EventLog(Protocol):
    """Where the events of sandboxes are kept. The seam for durable and shared logs."""

    def append(self, sandbox: str, expected_version: int, events: Sequence[Event]) -> int:
        """Append events and return the new version. Raises VersionConflictError."""

    def read(self, sandbox: str) -> Sequence[Event]:
        """The events that give the sandbox's present state, in order."""

    def drop(self, sandbox: str) -> None:
        """Forget a sandbox."""


class MemoryLog:
    """Event logs in memory.

    Events of forgotten jobs are dead weight; when they are more than half, the log is rewritten
    without them, their ledger lines summed into one `EntriesCarried` for each account. Reading the
    shorter log gives the same state.
    """

    _WORTH_IT = 4096

    def __init__(self) -> None:
        """No sandbox yet."""
        self._events: dict[str, list[Event]] = {}
        self._versions: dict[str, int] = {}
        self._dead: dict[str, int] = {}

    def append(self, sandbox: str, expected_version: int, events: Sequence[Event]) -> int:
        """Append events and return the new version."""
        version = self._versions.get(sandbox, 0)
        if version != expected_version:
            msg = f"{sandbox} is at version {version}, not {expected_version}"
            raise VersionConflictError(msg)
        kept = self._events.setdefault(sandbox, [])
        kept.extend(events)
        self._versions[sandbox] = version + len(events)
        for event in events:
            if type(event) is JobsForgotten:
                self._maybe_compact(sandbox, len(event.jobs))
        return version + len(events)

    def read(self, sandbox: str) -> Sequence[Event]:
        """The compacted events, in order."""
        return tuple(self._events.get(sandbox, ()))

    def drop(self, sandbox: str) -> None:
        """Forget a sandbox."""
        for table in (self._events, self._versions, self._dead):
            table.pop(sandbox, None)

    def _maybe_compact(self, sandbox: str, forgotten: int) -> None:
        events_per_job = 5
        dead = self._dead.get(sandbox, 0) + forgotten * events_per_job
        events = self._events[sandbox]
        if dead >= self._WORTH_IT and dead * 2 > len(events):
            self._events[sandbox] = compacted(events)
            dead = 0
        self._dead[sandbox] = dead


def compacted(events: Sequence[Event]) -> list[Event]:
    """The same history without the events of forgotten jobs."""
    gone = {job for e in events if isinstance(e, JobsForgotten) for job in e.jobs}
    carried: dict[tuple[int, str], Decimal] = {}
    kept: list[Event] = []
    for event in events:
        if isinstance(event, EntriesCarried) or (isinstance(event, Entry) and event.job in gone):
            key = (event.account, event.unit)
            carried[key] = carried.get(key, Decimal(0)) + event.amount
        elif not isinstance(event, JobsForgotten) and getattr(event, "job", None) not in gone:
            kept.append(event)
    at = events[-1].at
    sums = [EntriesCarried(at, account, amount, unit) for (account, unit), amount in carried.items()]
    return [*kept, *sums]


def accepted_jobs(events: Sequence[Event]) -> list[str]:
    """The ids of the jobs that the events accept, in order."""
    return [event.job for event in events if isinstance(event, JobAccepted)]
