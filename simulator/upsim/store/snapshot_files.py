"""A sandbox at an instant as one file: for a store, or for another server.

It has everything that the sandbox needs to go on, its rules included, except uploaded files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from upsim.core.events import Event
from upsim.core.instants import Instant
from upsim.core.knobs_and_dialects import Rules
from upsim.engine.request_records import Record
from upsim.engine.rule_versions import RulesId, RuleVersions
from upsim.engine.sandbox_state import SandboxState
from upsim.engine.snapshots import Snapshot
from upsim.engine.store import KeptSandbox, SandboxRecord
from upsim.scenario.model import Scenario
from upsim.store.event_encoding import EventReader, EventWriter
from upsim.store.record_encoding import Sources, record_in, records_in, records_out
from upsim.store.sandbox_rows import record_bytes, record_of, scenario_bytes, scenario_of

FORMAT = "upsim-snapshot/1"
EVENTS_PER_PART = 500
"""Events that are encoded in one go, so that an event loop in another thread is not delayed."""


class _File(msgspec.Struct):
    """The parts of a file."""

    format: str
    name: str
    latest: Instant
    record: bytes
    scenario: bytes
    rules: list[tuple[str, str, bytes]]
    events: list[bytes]
    records: bytes
    record_count: int
    report: bytes


class UnreadableFileError(ValueError):
    """Bytes that are no snapshot, or one of another format."""


@dataclass(frozen=True, slots=True)
class WrittenRecords:
    """The written forms of a sandbox's latest requests, and the number of all its requests."""

    written: Sequence[tuple[Any, ...]]
    count: int

    def __call__(self, versions: RuleVersions, state: SandboxState) -> tuple[list[Record], int]:
        """Return the records with the rules, jobs and entries that they name."""
        sources = Sources(partial(_rules_in, versions), state)
        return [record_in(one, sources) for one in self.written], self.count


def snapshot_file(snapshot: Snapshot, record: SandboxRecord) -> bytes:
    """Return a snapshot of a sandbox as bytes; it can take seconds, in any thread."""
    return msgspec.msgpack.encode(
        _File(
            format=FORMAT,
            name=record.name,
            latest=snapshot.at,
            record=record_bytes(record),
            scenario=scenario_bytes(record.scenario),
            rules=[
                (*rules, scenario_bytes(scenario))
                for rules, scenario in snapshot.rules.versions.known().items()
            ],
            events=list(_parts(snapshot.past.events)),
            records=records_out([(1, snapshot.records)]),
            record_count=snapshot.record_count,
            report=snapshot.report,
        )
    )


def kept_in(
    data: bytes, read_scenario: Callable[[bytes], Scenario | None] = scenario_of
) -> KeptSandbox:
    """Return the sandbox in a file. Raises UnreadableFileError, and what `read_scenario` raises."""
    try:
        file = msgspec.msgpack.decode(data, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"it is no snapshot of upsim: {error}") from error
    if file.format != FORMAT:
        raise UnreadableFileError(f"its format is {file.format[:40]!r}, expected {FORMAT!r}")
    scenario = read_scenario(file.scenario)
    rules = {
        RulesId(provider, digest): found
        for provider, digest, values in file.rules
        if (found := read_scenario(values)) is not None
    }
    return KeptSandbox(
        record=record_of(file.name, file.record, scenario),
        events=tuple(_events(file.events)),
        rules=rules,
        requests=WrittenRecords(_written(file.records), file.record_count),
        report=file.report,
        latest=file.latest,
    )


def _parts(events: Sequence[Event]) -> Iterator[bytes]:
    writer = EventWriter()
    for start in range(0, len(events), EVENTS_PER_PART):
        yield writer.batch([(1, events[start : start + EVENTS_PER_PART])])


def _events(parts: Sequence[bytes]) -> Iterator[Event]:
    reader = EventReader()
    for part in parts:
        for _, events in reader.batch(part):
            yield from events


def _written(records: bytes) -> list[tuple[Any, ...]]:
    return [one for _, part in records_in(records) if not isinstance(part, int) for one in part]


def _rules_in(versions: RuleVersions, provider: str, digest: str, dialect: str) -> Rules | None:
    """Return the rules of a provider under a dialect; None if they are no longer known."""
    if not digest:
        return None
    if versions.scenario(provider).baseline.digest == digest:
        return versions.bound(provider, dialect).rules
    older = versions.bound_under(RulesId(provider, digest), dialect)
    return older.rules if older else None
