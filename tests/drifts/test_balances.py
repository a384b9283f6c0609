"""The balances of a recording: charges, refunds, and changes that no request explains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.drifts.written_cassette import taped
from upsim_contracts.drift.balances import Balances, balances
from upsim_contracts.request_costs import CostTable
from upsim_contracts.verify.run import book_of, pricer


def judged(steps: Sequence[tuple[Any, ...]]) -> Balances:
    """Return the balances of a recording that is made of these steps."""
    return balances(taped(steps), CostTable(book_of("vicsee"), pricer("vicsee")))


def told(found: Balances) -> Iterator[str]:
    """Return findings and notes, up to where they cite a document."""
    for judged, numbers in found.findings:
        one = judged.finding
        yield f"{one.where}: expected {one.expected}, seen {one.seen}, exchanges {numbers}"
    yield from found.notes


FAILED = [("submit", "a", 32), ("poll", "a", "failed")]
ROSE = (
    "note: vicsee: the balance rose by {} before exchange {}, "
    "which no request of the recording explains, such as a top-up"
)
FELL = "balance: expected a fall by what requests cost, seen a fall by {} more, exchanges {}"
EARLY = (
    "note: vicsee: the refund of 32 credits for the failed job of exchange 3 had not come yet: "
    "the last balance was read less than 5m after it"
)
CASES: dict[str, tuple[Sequence[tuple[Any, ...]], Sequence[str]]] = {
    "charged": ([("balance", 100), ("submit", "a", 32), ("balance", 68)], []),
    "charged as the recording read": (
        [("balance", 100), ("submit", "a", 32, 32, 68), ("balance", 68)],
        [],
    ),
    "fell without a request": (
        [("balance", 100), ("submit", "a", 32), ("balance", 60), ("balance", 57)],
        [FELL.format("11 credits", [3, 4])],
    ),
    "fell between readings of the recording": (
        [("submit", "a", 32, 32, 68), ("submit", "b", 16, 16, 50)],
        [FELL.format("2 credits", [2])],
    ),
    "topped up": (
        [("balance", 100), ("submit", "a", 32), ("poll", "a", "completed"), ("balance", 100)],
        [ROSE.format("32 credits", 4)],
    ),
    "paid back": ([("balance", 100), *FAILED, ("balance", 100)], []),
    "paid back before the failure was seen": (
        [("balance", 100), ("submit", "a", 32), ("balance", 100), ("poll", "a", "failed")],
        [],
    ),
    "two paid back at once, and an unfinished one not": (
        [
            ("balance", 200),
            ("submit", "a", 32),
            ("submit", "b", 16),
            ("submit", "c", 80),
            ("poll", "a", "failed"),
            ("poll", "b", "failed"),
            ("balance", 120),
        ],
        [],
    ),
    "not paid back yet": ([("balance", 100), *FAILED, ("balance", 68)], [EARLY]),
    "never paid back": (
        [("balance", 100), *FAILED, ("wait", 300), ("balance", 68)],
        ["refund: expected 32 credits, seen none, exchanges [3]"],
    ),
    "never paid back, and no balance after it": ([("balance", 100), *FAILED], []),
    "paid back in part": (
        [("balance", 100), *FAILED, ("balance", 80)],
        ["refund: expected 32 credits, seen 12 credits, exchanges [3]"],
    ),
    "paid back twice": (
        [("balance", 100), *FAILED, ("balance", 132)],
        ["refund: expected 32 credits, seen 64 credits, exchanges [3]"],
    ),
    "topped up after a failure": (
        [("balance", 100), *FAILED, ("balance", 1075)],
        [ROSE.format("1007 credits", 4), EARLY],
    ),
    "charged later than the balance was read": (
        [("submit", "a", 32, 0, 100), ("balance", 68)],
        [],
    ),
    "two accounts": (
        [
            ("balance", 100),
            ("submit", "a", 32),
            ("other", 2),
            ("balance", 900),
            ("other", 1),
            ("balance", 68),
        ],
        [],
    ),
    "read while a paid call was under way": (
        [
            ("balance", 100),
            ("slow", 9),
            ("submit", "a", 32),
            ("balance", 100),
            ("slow", 0),
            ("wait", 20),
            ("balance", 68),
        ],
        [],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_unexplained_balance_changes_are_findings(name: str) -> None:
    """An unexplained fall of the balance is one finding, and so is a refund of a wrong amount."""
    steps, expected = CASES[name]

    assert expected == list(told(judged(steps)))


def test_refund_during_a_paid_call_is_recognised() -> None:
    """If a charge is too small by exactly a failed job's price, the difference is its refund."""
    found = judged([*FAILED, ("submit", "b", 80, 48, 0)])

    assert {3} == found.refunded
    assert [] == list(told(found))
