"""What this package raises.

ContractError
└── NoContractError    there is no contract, or no operation, of this name
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class ContractError(Exception):
    """The package was misused."""


class NoContractError(ContractError, LookupError):
    """There is no contract of this name."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Name the thing, the value, what there is, and the nearest of it."""
        names = list(known)
        near = get_close_matches(name, names, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        super().__init__(f"there is no {kind} {name!r}: known are {names}{meant}")
