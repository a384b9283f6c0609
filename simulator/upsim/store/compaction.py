"""Replace old batches of events by snapshots, so that the size of a store follows what it holds.

The snapshot of a sandbox is its events without what is forgotten, as `engine/event_log.py` compacts
them. It is written in parts, one in a turn of the event loop, between the batches of new events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from upsim.core.events import Event
from upsim.engine.event_log import EventLog
from upsim.engine.request_records import Record, RecordLog
from upsim.store.event_encoding import EventWriter
from upsim.store.record_encoding import Written, records_out
from upsim.store.sqlite_file import SqliteFile, Statement
from upsim.store.write_queue import WriteQueue

MIN_BYTES = 8 * 2**20
"""Bytes of batches below which nothing is compacted."""
GROWTH = 2
"""Bytes of batches for each byte of snapshots at which they are compacted."""
EVENTS_PER_PART = 500
PORTION_BYTES = 256 * 1024
"""About how many bytes of records are encoded in one turn of the event loop."""
RECORD_BYTES = 1024
"""About how many bytes a record has beside its path and bodies."""
BATCHES_AT_ONCE = 500
"""Batches, or parts of an older snapshot, that one transaction deletes."""
PARTS_AT_ONCE = 20

_PART = "INSERT INTO snapshots(serial, batch, part, events, records) VALUES(?, ?, ?, ?, ?)"
_SNAPSHOT = "UPDATE sandboxes SET snapshot=? WHERE serial=?"
_READ_AFTER = "INSERT OR REPLACE INTO server(name, value) VALUES('read_after', ?)"
_DROP_BATCHES = (
    "DELETE FROM batches WHERE number IN "
    "(SELECT number FROM batches WHERE number<=? ORDER BY number LIMIT ?)"
)
_DROP_PARTS = (
    "DELETE FROM snapshots WHERE rowid IN "
    "(SELECT rowid FROM snapshots WHERE serial=? AND batch<>? LIMIT ?)"
)
_DROP_ALL_PARTS = "DELETE FROM snapshots WHERE serial=?"


class Compaction:
    """Compacts a store whenever its batches have grown to twice the size of its snapshots."""

    def __init__(self, writes: WriteQueue, log: EventLog, file: SqliteFile) -> None:
        """Measure what the file holds."""
        self._writes = writes
        self._log = log
        self._changed: set[int] = set()
        self._logs: dict[int, RecordLog] = {}
        self._batches = _total(
            file, "SELECT count(*), sum(length(events) + length(records)) FROM batches"
        )
        query = (
            "SELECT serial, count(*), sum(length(events) + length(records)) "
            "FROM snapshots GROUP BY serial"
        )
        self._snapshots = {serial: (parts, size) for serial, parts, size in file.rows(query)}
        self._steps: Iterator[list[Statement]] | None = None

    def on_events(self, serial: int) -> None:
        """Note that a sandbox has events that its snapshot lacks."""
        self._changed.add(serial)

    def follow(self, serial: int, records: RecordLog) -> None:
        """Keep the records of a sandbox in its snapshots."""
        self._logs[serial] = records

    def on_dropped(self, serial: int) -> None:
        """Note that a sandbox is gone."""
        self._changed.discard(serial)
        self._logs.pop(serial, None)
        self._snapshots.pop(serial, None)

    def on_written(self, size: int, serials: Mapping[str, int]) -> None:
        """Start, or take the next step, after a transaction was written."""
        count, total = self._batches
        self._batches = (count + bool(size), total + size)
        if self._steps is None and not self._writes.unsettled and self.is_worth_it:
            self._steps = self._compact(serials)
        if self._steps is not None:
            self._step()

    @property
    def batches(self) -> int:
        """The number of batches that are not yet in snapshots."""
        return self._batches[0]

    @property
    def is_worth_it(self) -> bool:
        """Whether the batches hold as much as the snapshots, and not only a little."""
        held: int = sum(size for _, size in self._snapshots.values())
        return self._batches[1] > max(MIN_BYTES, GROWTH * held)

    def _step(self) -> None:
        statements = next(self._steps, None) if self._steps else None
        if statements is None:
            self._steps = None
            return
        for statement, values in statements:
            self._writes.add(statement, *values)

    def _compact(self, serials: Mapping[str, int]) -> Iterator[list[Statement]]:
        """Yield the statements of one transaction after the other."""
        upto = self._writes.number
        self._writes.events.forget_terms()
        changed, self._changed = self._changed, set()
        frozen = {
            serial: tuple(self._log.read(name))
            for name, serial in serials.items()
            if serial in changed
        }
        records = {serial: _ring(serial, self._logs.get(serial)) for serial in frozen}
        batches, self._batches = self._batches[0], (0, 0)
        for serial, events in frozen.items():
            yield from self._snapshot(serial, upto, events, records[serial])
            if serial not in serials.values():  # it was dropped between two parts
                self._snapshots.pop(serial, None)
                yield [(_DROP_ALL_PARTS, (serial,))]
        yield [(_READ_AFTER, (str(upto),))]
        for _ in range(0, batches, BATCHES_AT_ONCE):
            yield [(_DROP_BATCHES, (upto, BATCHES_AT_ONCE))]

    def _snapshot(
        self, serial: int, upto: int, events: Sequence[Event], records: Sequence[Written]
    ) -> Iterator[list[Statement]]:
        writer, size, parts = EventWriter(), 0, 0
        for start in range(0, len(events), EVENTS_PER_PART):
            written = writer.batch([(serial, events[start : start + EVENTS_PER_PART])])
            yield [(_PART, (serial, upto, parts, written, b""))]
            parts, size = parts + 1, size + len(written)
        for few in _portions(records):
            noted = records_out(few)
            yield [(_PART, (serial, upto, parts, b"", noted))]
            parts, size = parts + 1, size + len(noted)
        older = self._snapshots.get(serial, (0, 0))[0]
        self._snapshots[serial] = (parts, size)
        yield [(_SNAPSHOT, (upto, serial))]
        for _ in range(0, older, PARTS_AT_ONCE):
            yield [(_DROP_PARTS, (serial, upto, PARTS_AT_ONCE))]


def _ring(serial: int, log: RecordLog | None) -> list[Written]:
    """Return the records that a sandbox has at present, after the number of all before."""
    if log is None:
        return []
    records = tuple(log)
    return [(serial, log.count - len(records)), (serial, records)]


def _portions(records: Sequence[Written]) -> Iterator[list[Written]]:
    """Yield records in portions that take about a millisecond to encode."""
    for serial, part in records:
        if isinstance(part, int):
            yield [(serial, part)]
            continue
        few: list[Record] = []
        size = 0
        for record in part:
            few.append(record)
            size += RECORD_BYTES + len(record.path) + len(record.body) + len(record.reply)
            if size > PORTION_BYTES:
                yield [(serial, few)]
                few, size = [], 0
        yield [(serial, few)]


def _total(file: SqliteFile, query: str) -> tuple[int, int]:
    count, size = next(file.rows(query))
    return count, size or 0
