"""The errors for sandboxes, keys, snapshots, instants and stores that are missing or refused."""

from __future__ import annotations


class SandboxRefusedError(ValueError):
    """A sandbox that cannot be created, or a key that is already in use."""


class SandboxTakenError(SandboxRefusedError):
    """A sandbox with this id already exists."""


class KeyTakenError(SandboxRefusedError):
    """The key belongs to another sandbox or account."""


class HistoryError(ValueError):
    """An instant at which the state of a sandbox is not known."""


class SnapshotError(ValueError):
    """A snapshot that does not exist, whose name is taken, or for which there is no room."""


class UnknownSandboxError(LookupError):
    """There is no sandbox with this id."""


class StoreError(Exception):
    """A store that cannot be opened, read or written."""


class StoreAddressError(StoreError):
    """An address that no store can have."""
