"""The named snapshots of all sandboxes of a server."""

from __future__ import annotations

from collections.abc import Mapping

from upsim.core.nearest_names import nearest_of
from upsim.engine.exceptions import SnapshotError
from upsim.engine.snapshots import Snapshot
from upsim.engine.store import Store
from upsim.media.blob_store import BlobStore

MAX_SNAPSHOTS = 20
"""Maximum named snapshots of a sandbox."""


class SnapshotStore:
    """Snapshots by sandbox and name. Uploaded files stay while a snapshot has them."""

    __slots__ = ("_blobs", "_held", "_kept", "_store")

    def __init__(self, blobs: BlobStore, store: Store) -> None:
        """Begin without snapshots."""
        self._blobs = blobs
        self._store = store
        self._kept: dict[str, dict[str, Snapshot]] = {}
        self._held: dict[tuple[str, str], list[str]] = {}

    def of(self, sandbox: str) -> Mapping[str, Snapshot]:
        """Return the snapshots of a sandbox by name, oldest first."""
        return self._kept.get(sandbox, {})

    def add(self, sandbox: str, name: str, snapshot: Snapshot, file: bytes) -> None:
        """Keep a snapshot, with its bytes for the store, under a new name. Raises SnapshotError."""
        self.check(sandbox, name)
        self.continue_with(sandbox, name, snapshot)
        self._store.keep_snapshot(sandbox, name, file)

    def check(self, sandbox: str, name: str) -> None:
        """Raise SnapshotError if a sandbox cannot have another snapshot of this name."""
        kept = self.of(sandbox)
        if name in kept:
            msg = f"sandbox {sandbox!r} already has a snapshot {name!r}; delete it first"
            raise SnapshotError(msg)
        if len(kept) >= MAX_SNAPSHOTS:
            msg = f"sandbox {sandbox!r} has {MAX_SNAPSHOTS} snapshots, the maximum; delete one"
            raise SnapshotError(msg)

    def continue_with(self, sandbox: str, name: str, snapshot: Snapshot) -> None:
        """Add a snapshot that the store already has."""
        self._held[sandbox, name] = [one for one in snapshot.files if self._blobs.hold(one)]
        self._kept.setdefault(sandbox, {})[name] = snapshot

    def get(self, sandbox: str, name: str) -> Snapshot:
        """Return a snapshot by name. Raises SnapshotError."""
        found = self.of(sandbox).get(name)
        if found is None:
            near = nearest_of(name, self.of(sandbox))
            known = ", ".join(self.of(sandbox)) or "none"
            hint = f"did you mean {near}?" if near else f"there are: {known}"
            raise SnapshotError(f"sandbox {sandbox!r} has no snapshot {name[:80]!r}; {hint}")
        return found

    def remove(self, sandbox: str, name: str) -> None:
        """Delete a snapshot. Raises SnapshotError."""
        self.get(sandbox, name)
        for digest in self._held.pop((sandbox, name)):
            self._blobs.release(digest)
        del self._kept[sandbox][name]
        self._store.drop_snapshot(sandbox, name)

    def forget(self, sandbox: str) -> None:
        """Delete all snapshots of a sandbox."""
        for name in list(self.of(sandbox)):
            self.remove(sandbox, name)
        self._kept.pop(sandbox, None)
