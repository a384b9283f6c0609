"""What the calls of a run would have cost: charges minus refunds, exact, by provider and unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass(slots=True)
class Costs:
    """Sums over sandboxes, and over the processes of a run."""

    sandboxes: int = 0
    amounts: dict[tuple[str, str], Decimal] = field(default_factory=dict)

    def take(self, accounts: list[dict[str, Any]], entries: list[dict[str, Any]]) -> None:
        """Take in the accounts and ledger lines of one sandbox."""
        self.sandboxes += 1
        owners = {account["account"]: account["provider"] for account in accounts}
        for entry in entries:
            if entry["kind"] in ("charge", "refund"):
                self._add((owners[entry["account"]], entry["unit"]), -Decimal(entry["amount"]))

    def packed(self) -> dict[str, Any]:
        """In a form that can be sent to another process."""
        amounts = [[*key, str(amount)] for key, amount in self.amounts.items()]
        return {"sandboxes": self.sandboxes, "amounts": amounts}

    def add(self, packed: Mapping[str, Any]) -> None:
        """Take in what another process sent."""
        self.sandboxes += packed["sandboxes"]
        for provider, unit, amount in packed["amounts"]:
            self._add((provider, unit), Decimal(amount))

    def lines(self) -> list[str]:
        """One line for each provider and unit, by name; none where nothing was charged."""
        return [
            f"{provider:<10} {amount:f} {unit if unit.isupper() or amount == 1 else f'{unit}s'}"
            for (provider, unit), amount in sorted(self.amounts.items())
        ]

    def _add(self, key: tuple[str, str], amount: Decimal) -> None:
        self.amounts[key] = self.amounts.get(key, Decimal(0)) + amount
