"""The errors for a sandbox that cannot be created or found, or a key that cannot be issued."""

from __future__ import annotations


class SandboxRefusedError(ValueError):
    """A sandbox that cannot be created, or a key that is already in use."""


class SandboxTakenError(SandboxRefusedError):
    """A sandbox with this id already exists."""


class KeyTakenError(SandboxRefusedError):
    """The key belongs to another sandbox or account."""


class UnknownSandboxError(LookupError):
    """There is no sandbox with this id."""
