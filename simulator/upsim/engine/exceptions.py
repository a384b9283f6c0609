"""Why a sandbox cannot be made or found, and why a key cannot be given."""

from __future__ import annotations


class SandboxRefusedError(ValueError):
    """A sandbox that cannot be made, or a key that is already taken."""


class SandboxTakenError(SandboxRefusedError):
    """There is already a sandbox of this id."""


class KeyTakenError(SandboxRefusedError):
    """The key leads to another sandbox or account."""


class UnknownSandboxError(LookupError):
    """No sandbox of this id."""
