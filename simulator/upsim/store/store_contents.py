"""The contents of a store, as text for people and as JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from upsim.core.instants import Instant
from upsim.engine.exceptions import StoreError
from upsim.engine.recovery import UNREADABLE, present_of
from upsim.engine.snapshots import folded
from upsim.store.read_only_file import ReadOnlyFile
from upsim.store.sandbox_rows import record_of, scenario_of
from upsim.store.sqlite_file import FORMAT, files_path, log_path, size_of
from upsim.store.sqlite_reading import History, histories

BASELINE = "baseline"
_SANDBOXES = "SELECT serial, snapshot, name, record, scenario FROM sandboxes ORDER BY place"
_COUNTS = {
    "issued_keys": "SELECT count(*) FROM keys WHERE NOT retired",
    "retired_keys": "SELECT count(*) FROM keys WHERE retired",
    "batches": "SELECT count(*) FROM batches",
    "named_snapshots": "SELECT count(*) FROM named",
}


class StoreSizes(msgspec.Struct, frozen=True):
    """Bytes of the database, of SQLite's own log, and of the folder with `file_count` files."""

    database: int
    log: int
    files: int
    file_count: int

    @property
    def total(self) -> int:
        """Bytes of all together."""
        return self.database + self.log + self.files


class SandboxContents(msgspec.Struct, frozen=True):
    """A sandbox in a store. `now` is the time that its clock shows at present."""

    name: str
    scenario: str
    clock: str
    now: Instant
    accounts: int
    jobs: Mapping[str, int]
    requests: int
    snapshot_events: int
    batch_events: int


class StoreContents(msgspec.Struct, frozen=True):
    """A store: its sizes, its sandboxes, the process that has it open, and its last change."""

    path: str
    format: int
    version: str
    user: str
    written: Instant
    sizes: StoreSizes
    counts: Mapping[str, int]
    sandboxes: Sequence[SandboxContents]


def sizes_of(path: Path) -> StoreSizes:
    """Return the sizes of a store's files."""
    folder = files_path(path)
    files = [one for one in folder.iterdir() if one.is_file()] if folder.is_dir() else []
    return StoreSizes(
        database=path.stat().st_size,
        log=size_of(log_path(path)),
        files=sum(one.stat().st_size for one in files),
        file_count=len(files),
    )


def contents_of(file: ReadOnlyFile) -> StoreContents:
    """Return what a store holds. Raises StoreError."""
    try:
        server = dict(file.rows("SELECT name, value FROM server"))
        rows = list(file.rows(_SANDBOXES))
        found = histories(file, {row[0]: row[1] for row in rows})
        sandboxes = [
            _sandbox(name, record, scenario, found[serial])
            for serial, _, name, record, scenario in rows
        ]
    except UNREADABLE as error:
        raise StoreError(
            f"the store {file.path} is damaged ({type(error).__name__}: {str(error)[:200]}); "
            f"`upsim store check {file.path}` says what is lost"
        ) from error
    parts = (file.path, log_path(file.path))
    changed = [one.stat().st_mtime_ns for one in parts if one.exists()]
    return StoreContents(
        path=str(file.path),
        format=FORMAT,
        version=server.get("version", ""),
        user=file.user,
        written=max(changed) // 1000,
        sizes=sizes_of(file.path),
        counts={name: next(file.rows(query))[0] for name, query in _COUNTS.items()},
        sandboxes=sandboxes,
    )


def _sandbox(name: str, record: bytes, scenario: bytes, history: History) -> SandboxContents:
    made = record_of(name, record, scenario_of(scenario))
    state = folded(history.events)
    if state.clock is None:
        raise ValueError(f"sandbox {name!r} has no events")
    return SandboxContents(
        name=name,
        scenario=made.scenario.name if made.scenario else BASELINE,
        clock=state.clock.mode,
        now=present_of(state.clock, history.latest),
        accounts=len(state.accounts),
        jobs=dict(Counter(job.state.value for job in state.jobs.values())),
        requests=history.requests.count,
        snapshot_events=history.in_snapshot,
        batch_events=len(history.events) - history.in_snapshot,
    )
