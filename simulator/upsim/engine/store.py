"""The store of a server: it keeps sandboxes until the server ends, or beyond."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

import msgspec

from upsim.core.events import Event
from upsim.core.instants import Instant
from upsim.engine.event_log import EventLog, MemoryLog
from upsim.engine.issued_keys import KeyHolder
from upsim.engine.request_records import Record, RecordLog
from upsim.engine.rule_versions import RulesId, RuleVersions
from upsim.engine.sandbox_request import SandboxRequest
from upsim.engine.sandbox_state import SandboxState
from upsim.engine.seeds import fresh_token
from upsim.media.blob_store import BlobStore
from upsim.scenario.model import Scenario


class SandboxRecord(msgspec.Struct, frozen=True):
    """How a sandbox was made, and the scenario in force, in full.

    If `request` names a scenario or leaves it to the server, its files may change; `scenario` is
    what was read of them last.
    """

    name: str
    request: SandboxRequest
    seed: int
    began: Instant
    scenario: Scenario | None


RecordReader = Callable[[RuleVersions, SandboxState], tuple[Sequence[Record], int]]


class KeptSandbox(msgspec.Struct, frozen=True):
    """A sandbox of an earlier server: its record, its events, and the rules that they name.

    `requests` returns the records of its latest requests, with the rules and jobs that they name,
    and the number of all requests. `report` is that of a server that was not killed. `latest` is
    the time of the last event or request.
    """

    record: SandboxRecord
    events: Sequence[Event]
    rules: Mapping[RulesId, Scenario]
    requests: RecordReader
    report: bytes
    latest: Instant


class KeptSnapshot(msgspec.Struct, frozen=True):
    """A named snapshot of a sandbox."""

    sandbox: str
    name: str
    kept: KeptSandbox


class KeptKey(NamedTuple):
    """The fingerprint of a key, and its holder; a retired key has none, but may name a sandbox."""

    fingerprint: bytes
    holder: KeyHolder | None
    sandbox: str = ""


NONE: Mapping[str, Callable[[], bytes]] = MappingProxyType({})


class Store(Protocol):
    """Keeps sandboxes. All methods but `settled` and `kept` return at once; nothing is written yet.

    `secret` keys the fingerprints of keys, `seed` is the seed of the server, and `made` counts the
    sandboxes of all times.
    """

    secret: str
    seed: int
    made: int

    @property
    def name(self) -> str:
        """The file of the store, or `memory:`."""

    @property
    def log(self) -> EventLog:
        """The log that gets the events of all sandboxes."""

    @property
    def problem(self) -> str:
        """Why nothing can be kept at present; empty if all is well."""

    @property
    def survives(self) -> str:
        """A sentence about the data that outlives a restart."""

    def figures(self) -> Mapping[str, int]:
        """Return figures for metrics, such as the bytes of the file; none without a file."""

    def kept(self) -> Iterable[KeptSandbox]:
        """Return the sandboxes of earlier servers. Raises StoreError."""

    def kept_snapshots(self) -> Iterable[KeptSnapshot]:
        """Return the named snapshots of earlier servers. Raises StoreError."""

    def keep_snapshot(self, sandbox: str, name: str, file: bytes) -> None:
        """Keep a named snapshot, which `snapshot_files` has written."""

    def drop_snapshot(self, sandbox: str, name: str) -> None:
        """Drop a named snapshot."""

    def issued_keys(self) -> Iterable[KeptKey]:
        """Return the keys that earlier servers issued."""

    def blobs(self, max_bytes: int) -> BlobStore:
        """Return the store of the files."""

    def keep(self, record: SandboxRecord) -> None:
        """Keep how a sandbox was made, or the scenario that is now in force in it."""

    def keep_rules(self, rules: RulesId, scenario: Scenario) -> None:
        """Keep the rules under which jobs may be accepted from now on."""

    def keep_key(self, key: KeptKey) -> None:
        """Keep an issued or retired key."""

    def retire_keys(self, sandbox: str) -> None:
        """Refuse all keys of a deleted sandbox from now on."""

    def follow(self, sandbox: str, records: RecordLog) -> None:
        """Keep the records of a sandbox from now on."""

    async def settled(self) -> None:
        """Return once everything that happened so far is kept."""

    def flush(self) -> None:
        """Write everything now. Raises StoreError."""

    def close(self, reports: Mapping[str, Callable[[], bytes]] = NONE) -> None:
        """Write what is left with the report cards by sandbox, and release the store.

        Raises StoreError.
        """

    def abandon(self) -> None:
        """Release the store as it was opened: nothing that was added since is written."""


class MemoryStore:
    """A store whose sandboxes end with their server."""

    def __init__(self, seed: int) -> None:
        """Make a store for a new server with this seed."""
        self._log = MemoryLog()
        self.name = "memory:"
        self.secret = fresh_token()
        self.seed = seed
        self.made = 0

    @property
    def log(self) -> EventLog:
        """The log of all sandboxes."""
        return self._log

    @property
    def problem(self) -> str:
        """Always empty: nothing is written."""
        return ""

    @property
    def survives(self) -> str:
        """A sentence about the data that outlives a restart."""
        return "Nothing survives a restart: see --store."

    def figures(self) -> Mapping[str, int]:
        """Return nothing, because there is no file."""
        return {}

    def kept(self) -> Iterable[KeptSandbox]:
        """Return nothing, because no earlier server left anything."""
        return ()

    def kept_snapshots(self) -> Iterable[KeptSnapshot]:
        """Return nothing, because no earlier server left anything."""
        return ()

    def keep_snapshot(self, sandbox: str, name: str, file: bytes) -> None:
        """Do nothing: the registry itself has it in memory."""

    def drop_snapshot(self, sandbox: str, name: str) -> None:
        """Do nothing: the registry itself has it in memory."""

    def issued_keys(self) -> Iterable[KeptKey]:
        """Return nothing, because no earlier server left anything."""
        return ()

    def blobs(self, max_bytes: int) -> BlobStore:
        """Return a store in a temporary folder."""
        return BlobStore(max_bytes)

    def keep(self, record: SandboxRecord) -> None:
        """Do nothing: the registry itself has it in memory."""

    def keep_rules(self, rules: RulesId, scenario: Scenario) -> None:
        """Do nothing: the registry itself has it in memory."""

    def keep_key(self, key: KeptKey) -> None:
        """Do nothing: the registry itself has it in memory."""

    def retire_keys(self, sandbox: str) -> None:
        """Do nothing: the registry itself has it in memory."""

    def follow(self, sandbox: str, records: RecordLog) -> None:
        """Do nothing: the registry itself has it in memory."""

    async def settled(self) -> None:
        """Return immediately, because nothing is written."""

    def flush(self) -> None:
        """Do nothing: the registry itself has it in memory."""

    def close(self, reports: Mapping[str, Callable[[], bytes]] = NONE) -> None:
        """Do nothing: the registry itself has it in memory."""

    def abandon(self) -> None:
        """Do nothing: there is no file."""
