"""Entries and balances."""

from __future__ import annotations

from decimal import Decimal

import pytest

from upsim.core.ledger import Entry, EntryKind, LedgerError, check_entry


def line(kind: EntryKind, amount: Decimal | int | str) -> Entry:
    """Return an entry of a job."""
    return Entry(1_000, 1, 1, kind, Decimal(amount), "credit", "task_1", "5 seconds × 16")


CHARGE = line("charge", -80)
REFUND = line("refund", 80)


def accepts(entry: Entry, charge: Entry | None) -> bool:
    """Return whether a job with this charge and no refund may get the entry."""
    try:
        check_entry(entry, charge, None)
    except LedgerError:
        return False
    return True


@pytest.mark.parametrize("amount", [0, -80])
def test_a_first_charge(amount: int) -> None:
    """A job can be charged once, also with an amount of zero."""
    assert accepts(line("charge", amount), None)


@pytest.mark.parametrize("amount", [0, 79, 80])
def test_a_refund_up_to_the_charge(amount: int) -> None:
    """A refund can be any amount up to the charge."""
    assert accepts(line("refund", amount), CHARGE)


@pytest.mark.parametrize(
    ("entry", "charge", "refund"),
    [
        (CHARGE, CHARGE, None),
        (CHARGE, CHARGE, REFUND),
        (line("charge", 1), None, None),
        (REFUND, None, None),
        (REFUND, CHARGE, REFUND),
        (line("refund", "80.000001"), CHARGE, None),
        (line("refund", -1), CHARGE, None),
    ],
)
def test_invalid_ledger_entries(entry: Entry, charge: Entry | None, refund: Entry | None) -> None:
    """The ledger refuses second or negative charges, and zero, second or too high refunds."""
    with pytest.raises(LedgerError, match=f"{entry.kind} of {entry.amount} for job task_1"):
        check_entry(entry, charge, refund)
