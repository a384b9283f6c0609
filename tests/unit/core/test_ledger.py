"""Entries and balances."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsim.core.ledger import Entry, EntryKind, LedgerError, balance_of, check_entry


def line(kind: EntryKind, amount: Decimal | int | str) -> Entry:
    """Return an entry of a job."""
    return Entry(1_000, 1, 1, kind, Decimal(amount), "credit", "task_1", "5 seconds × 16")


CHARGE = line("charge", -80)
REFUND = line("refund", 80)
AMOUNTS = st.decimals(-1_000_000, 1_000_000, places=6)


def accepts(entry: Entry, charge: Entry | None) -> bool:
    """Return whether a job with this charge and no refund may get the entry."""
    try:
        check_entry(entry, charge, None)
    except LedgerError:
        return False
    return True


@given(AMOUNTS, st.lists(AMOUNTS))
def test_a_balance_is_the_opening_plus_the_entries(
    opening: Decimal, amounts: list[Decimal]
) -> None:
    """The balance is exact, whatever the order of the entries."""
    entries = [line("charge", amount) for amount in amounts]

    assert balance_of(opening, entries) == balance_of(opening, reversed(entries))
    assert balance_of(opening, entries) - opening == sum(amounts)


@given(st.decimals(0, 10_000, places=6))
def test_charge_and_refund_cancel_out(amount: Decimal) -> None:
    """A charge and its whole refund leave the balance as it was."""
    entries = [line("charge", -amount), line("refund", amount)]

    assert balance_of(Decimal(100), entries) == 100


@pytest.mark.parametrize("amount", [0, -80])
def test_a_first_charge(amount: int) -> None:
    """A job may be charged, also nothing."""
    assert accepts(line("charge", amount), None)


@pytest.mark.parametrize("amount", [0, 79, 80])
def test_a_refund_up_to_the_charge(amount: int) -> None:
    """A refund may be anything up to the charge."""
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
def test_what_a_ledger_never_takes(
    entry: Entry, charge: Entry | None, refund: Entry | None
) -> None:
    """A second charge, one that gives, a refund of nothing, a second one or too much."""
    with pytest.raises(LedgerError, match=f"{entry.kind} of {entry.amount} for job task_1"):
        check_entry(entry, charge, refund)
