"""Exceptions that this package raises.

ContractError
├── NoContractError      there is no contract, or no operation, of this name
├── ContractFileError    a contract file cannot be read
│   └── StaleMutantError     a mutant's text does not occur exactly once in its module
├── ClipError            a text does not describe a clip
├── UnreadableVideoError a file is no video, or PyAV cannot read it
├── TargetError          a target cannot be reached, or does not behave like a simulator
├── UsageError           the command cannot be run as given; nothing was sent
│   └── PlanRefusedError     a plan could cost more than its cap
└── SpendingError        a request was not sent, because of its possible cost
    ├── BudgetReachedError     its cost could exceed the remaining budget
    └── UnpricedRequestError   its cost is unknown
"""

from __future__ import annotations

from collections.abc import Iterable

from upsim_contracts.suggestions import hint


class ContractError(Exception):
    """The package was misused."""


class NoContractError(ContractError, LookupError):
    """There is no contract of this name."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Name the kind, the unknown value, the known values, and the nearest one."""
        super().__init__(f"there is no {kind} {name!r}; {hint(name, known)}")


class ContractFileError(ContractError):
    """A file that cannot be read; the message says where and why."""


class StaleMutantError(ContractFileError):
    """A mutant's text that does not occur exactly once in its module."""


class ClipError(ContractError, ValueError):
    """A text that describes no clip."""


class UnreadableVideoError(ContractError):
    """A file that is no video, or that PyAV cannot read."""


class TargetError(ContractError):
    """A target that cannot be reached, or that does not behave like a simulator."""


class UsageError(ContractError):
    """A command that cannot be run as given; nothing was sent."""


class PlanRefusedError(UsageError):
    """A plan that could cost more than its cap."""


class SpendingError(ContractError):
    """A request that was not sent, because of its possible cost."""


class BudgetReachedError(SpendingError):
    """A request that could cost more than the remaining budget; it was not sent."""


class UnpricedRequestError(SpendingError):
    """A request whose cost is unknown; it was not sent."""
