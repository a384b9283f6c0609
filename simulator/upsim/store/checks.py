"""Check a store: that everything in it can be read, and that nothing that it needs is missing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from upsim.core.events import Event, JobAccepted
from upsim.core.numbers import counted
from upsim.core.suggestions import shown
from upsim.engine.exceptions import StoreError
from upsim.engine.recovery import UNREADABLE
from upsim.engine.report_card import ReportState
from upsim.engine.rule_versions import RulesId
from upsim.engine.sandbox_state import SandboxState
from upsim.engine.snapshots import folded
from upsim.store.event_encoding import EventReader
from upsim.store.record_encoding import Sources, record_in, records_in
from upsim.store.sandbox_rows import record_of, scenario_of
from upsim.store.snapshot_files import kept_in
from upsim.store.sqlite_file import SqliteFile
from upsim.store.sqlite_reading import History

PIECE = 1 << 20
_PARTS = "SELECT serial, batch, part, events, records FROM snapshots ORDER BY serial, batch, part"
_COPY = "restore a copy of the store, or begin with another file"
_RECOVER = f"{_COPY}; `sqlite3 {{path}} .recover` prints what is left"
_REPORTS = msgspec.msgpack.Decoder(ReportState)


class Problem(NamedTuple):
    """A flaw of a store, the consequence for its users, and the remedy."""

    what: str
    means: str
    remedy: str

    def __str__(self) -> str:
        """Return the line that `upsim store check` prints."""
        return f"{self.what}: {self.means}; {self.remedy}"


class StoreCheck:
    """One pass over all rows of a store, in the order in which a server reads them."""

    def __init__(self, file: SqliteFile) -> None:
        """Check the store in this file."""
        self._file = file
        self._names: dict[int, str] = {}
        self._snapshots: dict[int, int] = {}
        self._histories: dict[int, History] = {}
        self._uses: dict[str, str] = {}

    def problems(self) -> Iterator[Problem]:
        """Yield everything that is wrong."""
        try:
            found = list(self._integrity())
            yield from found or self._contents()
        except StoreError as error:
            remedy = _RECOVER.format(path=self._file.path)
            yield Problem(str(error), "a server cannot continue with this file", remedy)

    def unneeded(self) -> list[Path]:
        """Return the files that no upload needs; before, `problems` must have read everything."""
        return unneeded_files(self._file.files, self._uses)

    def _integrity(self) -> Iterator[Problem]:
        for (line,) in self._file.rows("PRAGMA integrity_check(20)"):
            if line != "ok":
                means = "the database is damaged, and what is read from it may be wrong"
                yield Problem(f"SQLite: {line}", means, _RECOVER.format(path=self._file.path))

    def _contents(self) -> Iterator[Problem]:
        yield from self._sandboxes()
        yield from self._snapshot_parts()
        yield from self._batches()
        yield from self._folds()
        yield from self._rules()
        yield from self._named()
        yield from self._reports()
        yield from self._keys()
        yield from self._uploads()

    def _sandboxes(self) -> Iterator[Problem]:
        query = "SELECT serial, name, snapshot, record, scenario FROM sandboxes ORDER BY place"
        for serial, name, snapshot, record, scenario in self._file.rows(query):
            self._names[serial], self._snapshots[serial] = name, snapshot
            self._histories[serial] = History()
            means = "a server cannot continue it"
            what = f"the options of sandbox {shown(name)}"
            yield from _read(what, means, _read_record, name, record, scenario)

    def _snapshot_parts(self) -> Iterator[Problem]:
        readers: dict[int, tuple[EventReader, int]] = {}
        for serial, batch, part, events, records in self._file.rows(_PARTS):
            if self._snapshots.get(serial) != batch:
                continue  # an older one, or one that was not finished
            reader, expected = readers.get(serial, (EventReader(), 0))
            readers[serial] = (reader, part + 1)
            name = shown(self._names[serial])
            if part != expected:
                what = f"part {expected} of the snapshot of sandbox {name} is missing"
                yield Problem(what, "its events are lost", _COPY)
            what = f"part {part} of the snapshot of sandbox {name}"
            yield from self._add({serial}, reader, what, events, records)

    def _batches(self) -> Iterator[Problem]:
        [(read_after,)] = self._file.rows(
            "SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM server WHERE name='read_after'"
        )
        reader = EventReader()
        query = "SELECT number, events, records FROM batches WHERE number>? ORDER BY number"
        for number, events, records in self._file.rows(query, read_after):
            later = {serial for serial, batch in self._snapshots.items() if number > batch}
            yield from self._add(later, reader, f"batch {number}", events, records)

    def _add(
        self, serials: Container[int], reader: EventReader, what: str, events: bytes, records: bytes
    ) -> Iterator[Problem]:
        means = "its events and requests are lost"
        read = partial(self._read_parts, serials, reader, events, records)
        yield from _read(what, means, read)

    def _read_parts(
        self, serials: Container[int], reader: EventReader, events: bytes, records: bytes
    ) -> None:
        for serial, new in reader.batch(events) if events else ():
            if serial in serials:
                self._histories[serial].events += new
        for serial, written in records_in(records) if records else ():
            if serial in serials:
                self._histories[serial].add_records(written)

    def _folds(self) -> Iterator[Problem]:
        for serial, history in self._histories.items():
            name = self._names[serial]
            what = f"the events of sandbox {shown(name)}"
            if not history.events:
                yield Problem(f"{what} are missing", "a server cannot continue it", _COPY)
                continue
            user = f"sandbox {shown(name)}"
            means = "they contradict each other, so some are lost"
            yield from _read(what, means, self._fold, user, history.events, history.records)

    def _fold(
        self, user: str, events: Sequence[Event], records: Sequence[tuple[object, ...]]
    ) -> None:
        """Read events and records as a server that continues with them does."""
        state = folded(events)
        for written in records:
            record_in(written, Sources(_no_rules, state))
        for digest in digests_of(state):
            self._uses.setdefault(digest, user)

    def _rules(self) -> Iterator[Problem]:
        kept = set()
        query = "SELECT provider, digest, scenario FROM rules ORDER BY provider, digest"
        for provider, digest, scenario in self._file.rows(query):
            kept.add(RulesId(provider, digest))
            what = f"rules {digest[:12]} of {provider}"
            means = "a server cannot continue with this file"
            yield from _read(what, means, scenario_of, scenario)
        for serial, history in self._histories.items():
            for rules, number in _named_rules(history).items():
                if rules not in kept:
                    what = f"rules {rules.digest[:12]} of {rules.provider} are not kept"
                    means = (
                        f"{counted(number, 'job')} of sandbox {shown(self._names[serial])} had them"
                    )
                    remedy = "a server uses the present scenario files for its jobs instead"
                    yield Problem(what, means, remedy)

    def _named(self) -> Iterator[Problem]:
        query = "SELECT sandbox, name, file FROM named ORDER BY number"
        for sandbox, name, data in self._file.rows(query):
            what = f"snapshot {shown(name)} of sandbox {shown(sandbox)}"
            yield from _read(what, "it cannot be restored", self._read_named, what, data)

    def _read_named(self, what: str, data: bytes) -> None:
        kept = kept_in(data)
        self._fold(what, kept.events, ())

    def _reports(self) -> Iterator[Problem]:
        for serial, report in self._file.rows("SELECT serial, report FROM reports"):
            what = f"the report card of sandbox {shown(self._names.get(serial, ''))}"
            means = "a server cannot continue it"
            yield from _read(what, means, _REPORTS.decode, report)

    def _keys(self) -> Iterator[Problem]:
        query = (
            "SELECT sandbox, count(*) FROM keys WHERE NOT retired "
            "AND sandbox NOT IN (SELECT name FROM sandboxes) GROUP BY sandbox"
        )
        for sandbox, number in self._file.rows(query):
            what = f"{number} issued keys name sandbox {shown(sandbox)}, which is missing"
            yield Problem(what, "a server cannot continue with this file", _COPY)

    def _uploads(self) -> Iterator[Problem]:
        folder = self._file.files
        for digest, user in self._uses.items():
            path = folder / digest
            if not path.is_file():
                means = f"it is an upload of {user}, whose URL answers 404"
                yield Problem(f"the file {path} is missing", means, "upload it again")
            elif _digest(path) != digest:
                means = f"{user} would serve other bytes than were uploaded"
                yield Problem(f"the file {path} was changed", means, "delete it, upload it again")


def digests_of(state: SandboxState) -> list[str]:
    """Return the digests of the uploaded files that a sandbox needs."""
    stored = (upload.stored for upload in state.uploads.values())
    return [upload.digest for upload in stored if upload is not None]


def unneeded_files(folder: Path, needed: Container[str]) -> list[Path]:
    """Return the files in the folder of a store that no upload needs, such as cached videos."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return [one for one in files if one.name not in needed and one.is_file()]


def _named_rules(history: History) -> dict[RulesId, int]:
    """Return the rules under which jobs were accepted, and the number of those jobs."""
    found: dict[RulesId, int] = {}
    for event in history.events:
        if isinstance(event, JobAccepted):
            rules = RulesId(event.provider, event.rules)
            found[rules] = found.get(rules, 0) + 1
    return found


def _no_rules(_provider: str, _digest: str, _dialect: str) -> None:
    """Return no rules: only the files of scenarios have those of records."""


def _read_record(name: str, record: bytes, scenario: bytes) -> None:
    record_of(name, record, scenario_of(scenario))


def _read(
    what: str, means: str, read: Callable[..., object], *arguments: object
) -> Iterator[Problem]:
    """Yield a problem if `read` cannot read its arguments."""
    try:
        read(*arguments)
    except UNREADABLE as error:
        cause = f"{type(error).__name__}: {str(error)[:120]}"
        yield Problem(f"{what} cannot be read ({cause})", means, _COPY)


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            found.update(piece)
    return found.hexdigest()
