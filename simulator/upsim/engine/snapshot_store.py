"""The named snapshots of all sandboxes of a server."""

from __future__ import annotations

from collections.abc import Mapping

from upsim.core.nearest_names import nearest_of
from upsim.engine.exceptions import SnapshotError
from upsim.engine.snapshots import Snapshot
from upsim.media.blob_store import BlobStore

MAX_SNAPSHOTS = 20
"""Maximum named snapshots of a sandbox."""


class SnapshotStore:
    """Snapshots by sandbox and name. Uploaded files stay while a snapshot has them."""

    __slots__ = ("_blobs", "_kept")

    def __init__(self, blobs: BlobStore) -> None:
        """Begin without snapshots."""
        self._blobs = blobs
        self._kept: dict[str, dict[str, Snapshot]] = {}

    def of(self, sandbox: str) -> Mapping[str, Snapshot]:
        """Return the snapshots of a sandbox by name, oldest first."""
        return self._kept.get(sandbox, {})

    def add(self, sandbox: str, name: str, snapshot: Snapshot) -> None:
        """Keep a snapshot under a new name. Raises SnapshotError."""
        kept = self._kept.setdefault(sandbox, {})
        if name in kept:
            msg = f"sandbox {sandbox!r} already has a snapshot {name!r}; delete it first"
            raise SnapshotError(msg)
        if len(kept) >= MAX_SNAPSHOTS:
            msg = f"sandbox {sandbox!r} has {MAX_SNAPSHOTS} snapshots, the maximum; delete one"
            raise SnapshotError(msg)
        for digest in snapshot.files:
            self._blobs.hold(digest)
        kept[name] = snapshot

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
        for digest in self.get(sandbox, name).files:
            self._blobs.release(digest)
        del self._kept[sandbox][name]

    def forget(self, sandbox: str) -> None:
        """Delete all snapshots of a sandbox."""
        for name in list(self.of(sandbox)):
            self.remove(sandbox, name)
        self._kept.pop(sandbox, None)
