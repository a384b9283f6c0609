"""A difference between a contract and the observed behaviour."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. `where` is `status`, `header <name>`, or the path of a field in the body."""

    provider: str
    operation: str
    where: str
    expected: str
    seen: str
    evidence: str

    def __str__(self) -> str:
        """Return the difference as one line for people."""
        return (
            f"{self.provider}: {self.operation}: {self.where}: "
            f"expected {self.expected}, seen {self.seen} [{self.evidence}]"
        )
