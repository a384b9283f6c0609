"""Read the sandboxes that earlier servers kept in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from upsim.core.events import Event, JobAccepted, RulesChanged
from upsim.core.instants import Instant
from upsim.engine.exceptions import StoreError
from upsim.engine.recovery import UNREADABLE
from upsim.engine.rule_versions import RulesId
from upsim.engine.store import KeptSandbox, KeptSnapshot
from upsim.scenario.model import Scenario
from upsim.store.event_encoding import EventReader
from upsim.store.record_encoding import number_and_time, records_in
from upsim.store.sandbox_rows import record_of, scenario_of
from upsim.store.snapshot_files import WrittenRecords, kept_in

MAX_RECORDS = 100_000
"""Requests of a sandbox that are held while a store is read."""


class Rows(Protocol):
    """A file of a store, opened for reading at least."""

    @property
    def path(self) -> Path:
        """The path of the database."""

    def rows(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Return the rows of a query. Raises StoreError."""


def kept_sandboxes(file: Rows) -> Iterator[tuple[int, int, KeptSandbox]]:
    """Yield each sandbox with its serial number and its place. Raises StoreError."""
    try:
        yield from _kept(file)
    except UNREADABLE as error:
        what = f"{type(error).__name__}: {error}"
        raise StoreError(f"the store {file.path} cannot be read: {what[:200]}") from error


def kept_snapshots(file: Rows) -> Iterator[KeptSnapshot]:
    """Yield each named snapshot, oldest first. Raises StoreError."""
    for sandbox, name, data in file.rows("SELECT sandbox, name, file FROM named ORDER BY number"):
        try:
            yield KeptSnapshot(sandbox, name, kept_in(data))
        except UNREADABLE as error:
            message = (
                f"the store {file.path} has a broken snapshot {name!r} of {sandbox!r}: {error}"
            )
            raise StoreError(message[:300]) from error


def _kept(file: Rows) -> Iterator[tuple[int, int, KeptSandbox]]:
    query = "SELECT serial, place, snapshot, name, record, scenario FROM sandboxes ORDER BY place"
    rows = list(file.rows(query))
    history = histories(file, {row[0]: row[2] for row in rows})
    rules = _Rules(file)
    reports = dict(file.rows("SELECT serial, report FROM reports"))
    for serial, place, _, name, record, scenario in rows:
        found = history[serial]
        if not found.events:
            raise StoreError(f"the store {file.path} has no events of sandbox {name!r}")
        yield (
            serial,
            place,
            KeptSandbox(
                record=record_of(name, record, scenario_of(scenario)),
                events=tuple(found.events),
                rules=rules.of(found.events),
                requests=found.requests,
                report=reports.get(serial, b""),
                latest=found.latest,
            ),
        )


@dataclass(slots=True)
class History:
    """The events of a sandbox, and the written forms of its latest requests.

    The first `in_snapshot` events are from its snapshot.
    """

    events: list[Event] = field(default_factory=list)
    records: list[tuple[Any, ...]] = field(default_factory=list)
    cleared: int = 0
    in_snapshot: int = 0

    def add_records(self, records: int | list[tuple[Any, ...]]) -> None:
        """Add written records, or clear those so far; the number counts all that were cleared."""
        if isinstance(records, int):
            self.records.clear()
            self.cleared = records
        else:
            self.records += records
            if len(self.records) > MAX_RECORDS:
                del self.records[:-MAX_RECORDS]

    @property
    def requests(self) -> WrittenRecords:
        """The written records of the latest requests, and the number of all requests."""
        last = [number_and_time(written)[0] for written in self.records[-1:]]
        return WrittenRecords(self.records, max((self.cleared, *last)))

    @property
    def latest(self) -> Instant:
        """The time of the last event or request."""
        requested = [number_and_time(written)[1] for written in self.records[-1:]]
        return max((*(event.at for event in self.events), *requested))


def histories(file: Rows, snapshots: dict[int, int]) -> dict[int, History]:
    """Return what each sandbox has in its snapshot and in later batches."""
    found = {serial: History() for serial in snapshots}
    query = "SELECT serial, batch, events, records FROM snapshots ORDER BY serial, batch, part"
    for (serial, batch), group in groupby(file.rows(query), key=lambda row: row[:2]):
        if snapshots.get(serial) == batch:  # else an older one, or one that was not finished
            reader = EventReader()
            for _, _, events, records in group:
                _add(found, reader, events, records)
    for history in found.values():
        history.in_snapshot = len(history.events)
    query = (
        "SELECT number, events, records FROM batches WHERE number > coalesce((SELECT "
        "CAST(value AS INTEGER) FROM server WHERE name='read_after'), 0) ORDER BY number"
    )
    reader = EventReader()
    for number, events, records in file.rows(query):
        later = {serial: found[serial] for serial in found if number > snapshots[serial]}
        _add(later, reader, events, records)
    return found


def _add(found: Mapping[int, History], reader: EventReader, events: bytes, records: bytes) -> None:
    """Add a batch to the sandboxes that lack it; all events are read, for the terms in them."""
    for serial, new in reader.batch(events) if events else ():
        if serial in found:
            found[serial].events += new
    for serial, written in records_in(records) if records else ():
        if serial in found:
            found[serial].add_records(written)


class _Rules:
    """The rules in a store, read when a sandbox names them."""

    def __init__(self, file: Rows) -> None:
        self._file = file
        self._known: dict[RulesId, Scenario | None] = {}

    def of(self, events: list[Event]) -> dict[RulesId, Scenario]:
        """Return the rules that events name, without those that are not kept."""
        named = {
            RulesId(event.provider, event.rules)
            for event in events
            if isinstance(event, JobAccepted | RulesChanged)
        }
        found = {one: self._read(one) for one in named}
        return {one: scenario for one, scenario in found.items() if scenario is not None}

    def _read(self, rules: RulesId) -> Scenario | None:
        if rules not in self._known:
            query = "SELECT scenario FROM rules WHERE provider=? AND digest=?"
            row = next(self._file.rows(query, *rules), None)
            self._known[rules] = None if row is None else scenario_of(row[0])
        return self._known[rules]
