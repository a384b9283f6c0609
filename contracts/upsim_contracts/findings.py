"""A difference between what a contract says and what was seen."""

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
        """One line that a person understands."""
        return (
            f"{self.provider}: {self.operation}: {self.where}: "
            f"expected {self.expected}, seen {self.seen} [{self.evidence}]"
        )
