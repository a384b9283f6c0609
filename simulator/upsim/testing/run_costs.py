"""The cost of all requests of a run: charges minus refunds, exact, by provider and unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from upsim.core.numbers import counted
from upsim.core.pricing import plain
from upsim.interception.provider_hosts import library
from upsim.providers import discover
from upsim.testing.admin_responses import exact_amount


@dataclass(slots=True)
class Costs:
    """The sums of costs over sandboxes, and over the processes of a run."""

    sandboxes: int = 0
    amounts: dict[tuple[str, str], Decimal] = field(default_factory=dict)

    def take(self, accounts: list[dict[str, Any]], entries: list[dict[str, Any]]) -> None:
        """Add the accounts and ledger entries of one sandbox."""
        self.sandboxes += 1
        owners = {account["account"]: account["provider"] for account in accounts}
        for entry in entries:
            if entry["kind"] in ("charge", "refund"):
                self._add(
                    (owners.get(entry["account"], "?"), entry["unit"]),
                    -exact_amount(entry["amount"], "GET ledger"),
                )

    def packed(self) -> dict[str, Any]:
        """Return the sums in a form that can be sent to another process."""
        amounts = [[*key, str(amount)] for key, amount in self.amounts.items()]
        return {"sandboxes": self.sandboxes, "amounts": amounts}

    def add(self, packed: Mapping[str, Any]) -> None:
        """Add the sums that another process sent."""
        self.sandboxes += packed["sandboxes"]
        for provider, unit, amount in packed["amounts"]:
            self._add((provider, unit), Decimal(amount))

    def lines(self, per_dollar: Mapping[str, Decimal]) -> list[str]:
        """Return one line for each provider and unit, sorted; empty if nothing was charged.

        If a provider's unit is a part of a dollar, the line starts with the amount in dollars.
        """
        return [
            f"{provider:<10} {_text(amount, unit, per_dollar.get(provider, Decimal(1)))}"
            for (provider, unit), amount in sorted(self.amounts.items())
        ]

    def _add(self, key: tuple[str, str], amount: Decimal) -> None:
        self.amounts[key] = self.amounts.get(key, Decimal(0)) + amount


def per_dollar() -> dict[str, Decimal]:
    """Return the number of units in a dollar for each provider that documents it."""
    return {
        provider: model.billing.unit_per
        for provider in discover()
        for model in library().baseline(provider).baseline.models.values()
        if model.billing.unit_per != 1
    }


def _text(amount: Decimal, unit: str, per_dollar: Decimal) -> str:
    text = counted(f"{plain(amount):f}", unit)
    return text if per_dollar == 1 else f"{plain(amount / per_dollar):f} USD ({text})"
