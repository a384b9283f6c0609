"""Read the sandboxes that earlier servers kept in a file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import msgspec

from upsim.core.events import Event, JobAccepted, RulesChanged
from upsim.engine.exceptions import StoreError
from upsim.engine.rule_versions import RulesId
from upsim.engine.store import KeptSandbox
from upsim.scenario.loader import ScenarioError
from upsim.scenario.model import Scenario
from upsim.store.encoding import EventReader
from upsim.store.records import record_of, scenario_of
from upsim.store.sqlite_file import SqliteFile

_UNREADABLE = (msgspec.MsgspecError, ScenarioError, ValueError, LookupError, TypeError)


def kept_sandboxes(file: SqliteFile) -> Iterator[tuple[int, KeptSandbox]]:
    """Yield each sandbox with its serial number. Raises StoreError."""
    try:
        yield from _kept(file)
    except _UNREADABLE as error:
        what = f"{type(error).__name__}: {error}"
        raise StoreError(f"the store {file.path} cannot be read: {what[:200]}") from error


def _kept(file: SqliteFile) -> Iterator[tuple[int, KeptSandbox]]:
    query = "SELECT serial, name, record, scenario, snapshot FROM sandboxes ORDER BY serial"
    rows = list(file.rows(query))
    events = _events(file, {row[0]: row[4] for row in rows})
    rules = _Rules(file)
    for serial, name, record, scenario, _ in rows:
        found = events[serial]
        if not found:
            raise StoreError(f"the store {file.path} has no events of sandbox {name!r}")
        kept = record_of(name, record, scenario_of(scenario))
        yield serial, KeptSandbox(kept, tuple(found), rules.of(found))


def _events(file: SqliteFile, snapshots: dict[int, int]) -> dict[int, list[Event]]:
    """Return the events of each sandbox: those of its snapshot, then those of later batches."""
    found: dict[int, list[Event]] = {serial: [] for serial in snapshots}
    query = "SELECT serial, batch, events FROM snapshots ORDER BY serial, batch, part"
    parts = file.rows(query)
    for (serial, batch), group in groupby(parts, key=lambda row: row[:2]):
        reader = EventReader()
        for _, _, data in group:
            if snapshots.get(serial) == batch:  # an older one, or one that was not finished
                found[serial] += (event for _, events in reader.batch(data) for event in events)
    query = (
        "SELECT number, events FROM batches WHERE number > coalesce((SELECT "
        "CAST(value AS INTEGER) FROM server WHERE name='read_after'), 0) ORDER BY number"
    )
    reader = EventReader()
    for number, data in file.rows(query):
        for serial, events in reader.batch(data):
            if serial in found and number > snapshots[serial]:
                found[serial] += events
    return found


class _Rules:
    """The rules in a store, read when a sandbox names them."""

    def __init__(self, file: SqliteFile) -> None:
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
