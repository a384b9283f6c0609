"""The ledger: entries are appended, never changed; a balance is the opening plus their sum."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from upsim.core.instants import Instant

EntryKind = Literal["charge", "refund", "top_up", "adjustment", "carried"]


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One entry: `amount` is signed (a charge is negative), in `unit`, with its formula.

    Appending an entry is an event. An entry of the kind `carried` is the sum of the entries
    of forgotten jobs.
    """

    at: Instant
    number: int
    account: int
    kind: EntryKind
    amount: Decimal
    unit: str
    job: str | None = None
    formula: str = ""
    inputs: tuple[tuple[str, str], ...] = ()


class LedgerError(ValueError):
    """An entry that breaks a rule of the ledger: a second charge, a refund above the charge."""


class Account(msgspec.Struct):
    """One account of one provider: opening balance, entries and jobs in order.

    `balance` is stored beside the entries, so that a check need not add them up. `running` is
    the number of jobs that use the plan's concurrency; the jobs in `queue` wait for a free
    slot.
    """

    number: int
    provider: str
    name: str
    opening: Decimal
    unit: str
    plan: str
    opened_at: Instant = 0
    balance: Decimal = Decimal(0)
    entries: dict[int, Entry] = msgspec.field(default_factory=dict)
    jobs: dict[str, None] = msgspec.field(default_factory=dict)
    running: int = 0
    queue: dict[str, None] = msgspec.field(default_factory=dict)


def check_entry(entry: Entry, charge: Entry | None, refund: Entry | None) -> None:
    """Raise LedgerError for a second charge, a second refund, or a refund above the charge."""
    if entry.kind == "charge":
        broken = charge is not None or entry.amount > 0
    else:
        broken = charge is None or refund is not None or not 0 <= entry.amount <= -charge.amount
    if broken:
        msg = f"{entry.kind} of {entry.amount} for job {entry.job} after {charge} and {refund}"
        raise LedgerError(msg)
