"""A store in one SQLite file, beside which is a folder with the uploaded files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Thread

from msgspec import Raw

from upsim.core.events import Event
from upsim.engine.event_log import MemoryLog
from upsim.engine.exceptions import StoreError
from upsim.engine.issued_keys import MAX_RETIRED_KEPT, KeyHolder
from upsim.engine.recovery import damage_named
from upsim.engine.request_records import Record, RecordLog
from upsim.engine.rule_versions import RulesId
from upsim.engine.seeds import fresh_token
from upsim.engine.store import NONE, KeptKey, KeptSandbox, KeptSnapshot, SandboxRecord
from upsim.media.blob_store import BlobStore
from upsim.scenario.model import Scenario
from upsim.scenario.versions import own_version
from upsim.store.compaction import Compaction
from upsim.store.sandbox_rows import record_bytes, scenario_bytes
from upsim.store.sqlite_file import SqliteFile, log_path, size_of
from upsim.store.sqlite_reading import kept_sandboxes, kept_snapshots
from upsim.store.write_queue import WriteQueue

CHECKPOINT_BYTES = 4 * 2**20
"""Written bytes after which SQLite's own log is moved to the file, beside the writes."""
MAX_LOG_BYTES = 16 * 2**20
"""Written bytes after which the log is emptied; this needs a pause of some milliseconds."""

_KEEP = (
    "INSERT INTO sandboxes(serial, name, place, record, scenario) VALUES(?, ?, ?, ?, ?) "
    "ON CONFLICT(serial) DO UPDATE SET record=excluded.record, scenario=excluded.scenario"
)
_FORGET = "DELETE FROM sandboxes WHERE serial=?"
_FORGET_SNAPSHOT = "DELETE FROM snapshots WHERE serial=?"
_KEEP_KEY = (
    "INSERT INTO keys(fingerprint, sandbox, provider, owner, retired) VALUES(?, ?, ?, ?, ?) "
    "ON CONFLICT(fingerprint) DO UPDATE SET sandbox=excluded.sandbox, "
    "provider=excluded.provider, owner=excluded.owner, retired=excluded.retired"
)
_RETIRE = "UPDATE keys SET retired=1 WHERE sandbox=?"
_PRUNE_KEYS = (
    "DELETE FROM keys WHERE retired AND number NOT IN "
    "(SELECT number FROM keys WHERE retired ORDER BY number DESC LIMIT ?)"
)
_KEEP_RULES = "INSERT OR IGNORE INTO rules(provider, digest, scenario) VALUES(?, ?, ?)"
_KEEP_SNAPSHOT = "INSERT INTO named(sandbox, name, file) VALUES(?, ?, ?)"
_DROP_SNAPSHOT = "DELETE FROM named WHERE sandbox=? AND name=?"
_REPORT = "INSERT OR REPLACE INTO reports(serial, report) VALUES(?, ?)"
_FORGET_REPORTS = "DELETE FROM reports"
_VERSION = "INSERT OR REPLACE INTO server(name, value) VALUES('version', ?)"
_NEWEST = (
    "SELECT max(number) FROM (SELECT number FROM batches UNION ALL "
    "SELECT batch FROM snapshots UNION ALL "
    "SELECT CAST(value AS INTEGER) FROM server WHERE name='read_after')"
)
"""The number of the latest transaction that the file knows of; numbers are never used again."""
_SERVER = "INSERT INTO server(name, value) VALUES(?, ?)"


class DurableLog(MemoryLog):
    """The event log in memory, which passes on all events to be written."""

    def __init__(self, store: SqliteStore) -> None:
        """Pass the events on to this store."""
        super().__init__()
        self._store = store
        self._loaded: dict[str, Sequence[Event]] = {}

    def expect(self, sandbox: str, events: Sequence[Event]) -> None:
        """Expect these events, which are in the file already, as the first of a sandbox."""
        self._loaded[sandbox] = events

    def append(self, sandbox: str, expected_version: int, events: Sequence[Event]) -> int:
        """Append events and return the new version."""
        if self._loaded and self._loaded.pop(sandbox, None) is events:
            return super().append(sandbox, expected_version, events)
        store = self._store
        serial = store.serial_of(sandbox)
        part = store.writes.events.written(serial, events)  # if this raises, nothing happened
        version = super().append(sandbox, expected_version, events)
        store.on_events(serial, part)
        return version

    def drop(self, sandbox: str) -> None:
        """Remove the events of a sandbox, here and in the file."""
        super().drop(sandbox)
        self._store.on_dropped(sandbox)


class SqliteStore:
    """Keeps sandboxes in a file, which one process at a time can open."""

    def __init__(self, path: Path, *, seed: int, fsync: bool = False) -> None:
        """Open or make the file; a new one gets this seed. Raises StoreError."""
        self.name = str(path)
        self._file = file = SqliteFile(path, fsync=fsync)
        self._fsync = fsync
        try:
            with damage_named(self.name):
                self._read_server(seed)
        except StoreError:
            file.close()
            raise
        self._log = DurableLog(self)
        self._serials: dict[str, int] = {}
        self._places: dict[str, int] = {}
        self._known_rules: set[RulesId] = set()
        self._compaction = Compaction(self.writes, self._log, self._file)
        self._unchecked = self._in_log = self._file.log_size()
        self._checkpoint: Thread | None = None

    def _read_server(self, seed: int) -> None:
        file = self._file
        server: dict[str, str] = dict(file.rows("SELECT name, value FROM server"))
        self.is_new = not server
        self.secret = server.get("secret") or fresh_token()
        self.seed = int(server.get("seed", seed))
        self.made = _number(file, "SELECT seq FROM sqlite_sequence WHERE name='sandboxes'")
        newest = _number(file, _NEWEST)
        self.writes = WriteQueue(file, newest, threaded=self._fsync, on_written=self._on_written)
        if self.is_new:
            self.writes.add(_SERVER, "secret", self.secret)
            self.writes.add(_SERVER, "seed", str(self.seed))
        if server.get("version") != own_version():
            self.writes.add(_VERSION, own_version())

    @property
    def log(self) -> DurableLog:
        """The log that gets the events of all sandboxes."""
        return self._log

    @property
    def problem(self) -> str:
        """Why nothing can be kept at present."""
        return self.writes.problem

    @property
    def survives(self) -> str:
        """A sentence about the data that outlives a restart."""
        loss = "a power loss, too" if self._fsync else "not a power loss: see --fsync"
        return (
            f"Sandboxes are kept in {self._file.path}, with keys, jobs, ledger, uploads and "
            f"webhooks. They survive a restart and kill -9 ({loss})."
        )

    def figures(self) -> Mapping[str, int]:
        """Return the bytes of the file and its log, and how much of it is not in its final form.

        `batches` are not yet in a snapshot, and `unsettled` changes are not yet written.
        """
        path = self._file.path
        sizes = [size_of(one) for one in (path, log_path(path))]
        return {
            "bytes": sum(sizes),
            "batches": self._compaction.batches,
            "unsettled": self.writes.pending,
            "writable": not self.problem,
        }

    # -- what earlier servers kept

    def kept(self) -> Iterable[KeptSandbox]:
        """Return the sandboxes of earlier servers. Raises StoreError."""
        self.writes.add(_FORGET_REPORTS)  # a killed server leaves none
        for serial, place, kept in kept_sandboxes(self._file):
            self._serials[kept.record.name] = serial
            self._places[kept.record.name] = place
            self._known_rules.update(kept.rules)
            self._log.expect(kept.record.name, kept.events)
            self._compaction.on_events(serial)
            yield kept

    def kept_snapshots(self) -> Iterable[KeptSnapshot]:
        """Return the named snapshots of earlier servers. Raises StoreError."""
        return kept_snapshots(self._file)

    def issued_keys(self) -> Iterator[KeptKey]:
        """Return the keys that earlier servers issued."""
        query = "SELECT fingerprint, sandbox, provider, owner, retired FROM keys ORDER BY number"
        for fingerprint, sandbox, provider, owner, retired in self._file.rows(query):
            holder = None if retired else KeyHolder(sandbox, provider, owner)
            yield KeptKey(fingerprint, holder, sandbox)

    def blobs(self, max_bytes: int) -> BlobStore:
        """Return the store of the files, in a folder beside the file."""
        return BlobStore(max_bytes, kept=self._file.files, fsync=self._fsync)

    # -- what is to be kept

    def keep(self, record: SandboxRecord) -> None:
        """Keep how a sandbox was made, or the scenario that is now in force in it."""
        serial = self.serial_of(record.name)
        made = record_bytes(record)
        place = self._places.setdefault(record.name, serial)
        scenario = scenario_bytes(record.scenario)
        self.writes.add(_KEEP, serial, record.name, place, made, scenario)

    def keep_rules(self, rules: RulesId, scenario: Scenario) -> None:
        """Keep the rules under which jobs may be accepted from now on."""
        if rules not in self._known_rules:
            self._known_rules.add(rules)
            self.writes.add(_KEEP_RULES, rules.provider, rules.digest, scenario_bytes(scenario))

    def keep_key(self, key: KeptKey) -> None:
        """Keep an issued or retired key."""
        holder = key.holder or KeyHolder(key.sandbox, "", "")
        self.writes.add(
            _KEEP_KEY,
            key.fingerprint,
            holder.sandbox,
            holder.provider,
            holder.owner,
            key.holder is None,
        )

    def keep_snapshot(self, sandbox: str, name: str, file: bytes) -> None:
        """Keep a named snapshot."""
        self.writes.add(_KEEP_SNAPSHOT, sandbox, name, file)

    def drop_snapshot(self, sandbox: str, name: str) -> None:
        """Drop a named snapshot."""
        self.writes.add(_DROP_SNAPSHOT, sandbox, name)

    def retire_keys(self, sandbox: str) -> None:
        """Refuse all keys of a deleted sandbox from now on."""
        self._places.pop(sandbox, None)
        self.writes.add(_RETIRE, sandbox)
        self.writes.add(_PRUNE_KEYS, MAX_RETIRED_KEPT)

    def follow(self, sandbox: str, records: RecordLog) -> None:
        """Keep the records of a sandbox from now on."""
        serial = self.serial_of(sandbox)
        self._compaction.follow(serial, records)
        if records.count:  # of a snapshot from which the sandbox continues
            self.writes.add_records(serial, records.count - len(records))
            self.writes.add_records(serial, tuple(records))

        def add(record: Record) -> None:
            self._compaction.on_events(serial)
            self.writes.add_records(serial, (record,))

        records.subscribe(add, on_cleared=partial(self.writes.add_records, serial))

    def serial_of(self, sandbox: str) -> int:
        """Return the number of a sandbox; a new one gets the next number."""
        serial = self._serials.get(sandbox)
        if serial is None:
            self.made += 1
            serial = self._serials[sandbox] = self.made
        return serial

    def on_events(self, serial: int, part: Raw) -> None:
        """Write events of a sandbox."""
        self._compaction.on_events(serial)
        self.writes.add_events(part)

    def on_dropped(self, sandbox: str) -> None:
        """Forget a sandbox; another one of the same name may follow."""
        serial = self._serials.pop(sandbox, None)
        if serial is not None:
            self._compaction.on_dropped(serial)
            self.writes.add(_FORGET, serial)
            self.writes.add(_FORGET_SNAPSHOT, serial)

    async def settled(self) -> None:
        """Return once everything that happened so far is written."""
        await self.writes.settled()

    def flush(self) -> None:
        """Write everything now. Raises StoreError."""
        self.writes.flush_all()

    def close(self, reports: Mapping[str, Callable[[], bytes]] = NONE) -> None:
        """Write what is left with the report cards by sandbox, and release the file.

        Raises StoreError if it cannot be written.
        """
        for sandbox, encoded in reports.items():
            self.writes.add(_REPORT, self.serial_of(sandbox), encoded())
        try:
            self.writes.flush_all()
        finally:
            self.writes.close()
            if self._checkpoint is not None:
                self._checkpoint.join()
            self._file.close()

    def abandon(self) -> None:
        """Release the file as it was opened."""
        self.writes.close()
        self._file.close()

    # -- inside

    def _on_written(self, size: int) -> None:
        self._unchecked += size
        self._in_log += size
        is_free = self._checkpoint is None or not self._checkpoint.is_alive()
        if self._in_log > MAX_LOG_BYTES and is_free:
            self._in_log = self._unchecked = 0
            self.writes.pause_for(partial(self._file.checkpoint, "TRUNCATE"))
        elif self._unchecked > CHECKPOINT_BYTES and is_free:
            self._unchecked = 0
            self._checkpoint = Thread(target=self._file.checkpoint, args=("PASSIVE",), daemon=True)
            self._checkpoint.start()
        self._compaction.on_written(size, self._serials)


def _number(file: SqliteFile, query: str) -> int:
    return int(next(file.rows(query), (0,))[0] or 0)
