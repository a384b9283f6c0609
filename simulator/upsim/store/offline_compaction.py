"""Make a store as small as it can be, while no server uses it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from upsim.core.events import Event, JobAccepted, RulesChanged
from upsim.engine.event_log import MemoryLog
from upsim.engine.exceptions import StoreError
from upsim.engine.recovery import UNREADABLE
from upsim.engine.rule_versions import RulesId
from upsim.engine.snapshots import folded
from upsim.store.checks import digests_of, unneeded_files
from upsim.store.compaction import EVENTS_PER_PART
from upsim.store.event_encoding import EventWriter
from upsim.store.record_encoding import written_out
from upsim.store.sqlite_file import SqliteFile, Statement
from upsim.store.sqlite_reading import History, histories, kept_snapshots

_LAST = (
    "SELECT max(coalesce((SELECT max(number) FROM batches), 0), "
    "coalesce((SELECT CAST(value AS INTEGER) FROM server WHERE name='read_after'), 0))"
)
_PART = "INSERT INTO snapshots(serial, batch, part, events, records) VALUES(?, ?, ?, ?, ?)"


def compact(file: SqliteFile) -> None:
    """Write snapshots in place of all batches, and drop the rules and files that nothing needs.

    Named snapshots, keys and the histories of sandboxes stay. Raises StoreError.
    """
    try:
        kept = histories(file, dict(file.rows("SELECT serial, snapshot FROM sandboxes")))
        events = {serial: _shortened(history.events) for serial, history in kept.items()}
        needed = {digest for some in events.values() for digest in digests_of(folded(some))}
    except UNREADABLE as error:
        raise StoreError(
            f"the store {file.path} is damaged ({type(error).__name__}: {str(error)[:200]}) and "
            f"was not changed; `upsim store check {file.path}` says what is lost"
        ) from error
    for snapshot in kept_snapshots(file):
        needed.update(digests_of(folded(snapshot.kept.events)))
    try:
        file.write([*_snapshots(file, kept, events), *_rules(file, events)])
        file.db.execute("VACUUM")
    except sqlite3.Error as error:
        raise StoreError(f"the store {file.path} cannot be written: {error}") from error
    file.checkpoint("TRUNCATE")
    _remove(unneeded_files(file.files, needed))


def _shortened(events: Sequence[Event]) -> Sequence[Event]:
    """Return the events as a server that continues the sandbox would keep them."""
    log = MemoryLog()
    log.append("", 0, events)
    return log.read("")


def _snapshots(
    file: SqliteFile, kept: Mapping[int, History], events: Mapping[int, Sequence[Event]]
) -> Iterator[Statement]:
    [(last,)] = file.rows(_LAST)
    yield "DELETE FROM snapshots", ()
    yield "DELETE FROM batches", ()
    for serial, history in kept.items():
        writer, of_sandbox, part = EventWriter(), events[serial], 0
        for start in range(0, len(of_sandbox), EVENTS_PER_PART):
            written = writer.batch([(serial, of_sandbox[start : start + EVENTS_PER_PART])])
            yield _PART, (serial, last, part, written, b"")
            part += 1
        records = written_out(serial, history.cleared, history.records)
        yield _PART, (serial, last, part, b"", records)
        yield "UPDATE sandboxes SET snapshot=? WHERE serial=?", (last, serial)
    yield "INSERT OR REPLACE INTO server(name, value) VALUES('read_after', ?)", (str(last),)


def _rules(file: SqliteFile, events: Mapping[int, Sequence[Event]]) -> Iterator[Statement]:
    named = {
        RulesId(event.provider, event.rules)
        for some in events.values()
        for event in some
        if isinstance(event, JobAccepted | RulesChanged)
    }
    for provider, digest in list(file.rows("SELECT provider, digest FROM rules")):
        if RulesId(provider, digest) not in named:
            yield "DELETE FROM rules WHERE provider=? AND digest=?", (provider, digest)


def _remove(files: Sequence[Path]) -> None:
    for path in files:
        try:
            path.unlink()
        except OSError as error:
            raise StoreError(f"{path} cannot be removed: {error.strerror}") from error
