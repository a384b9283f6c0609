"""What the balances of a recording show: charges, refunds, and what no request explains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from upsim_contracts.balances import Balances, balances
from upsim_contracts.cassettes import Cassette, Charge, Exchange, Header, Message
from upsim_contracts.tolls import Tolls
from upsim_contracts.verify import book_of, pricer


@dataclass
class Tape:
    """A cassette of VicSee as it is written, an exchange every second."""

    exchanges: list[Exchange] = field(default_factory=list)
    now: int = 0
    account: int = 1
    took: Decimal = Decimal(0)

    def balance(self, amount: int) -> None:
        """The caller asks for the balance."""
        self._add("GET", "/api/v1/credits", {"data": {"credits": amount}})

    def submit(self, job: str, price: int, actual: int | None = None, left: int = 0) -> None:
        """The caller submits a job; `actual` and `left` are there where balances are read."""
        read = None if actual is None else Decimal(actual)
        charge = Charge("credit", Decimal(price), read, None if read is None else Decimal(left))
        path = "/api/v1/tools/upscale-video"
        self._add("POST", path, {"data": {"id": job, "status": "pending"}}, charge)

    def poll(self, job: str, status: str) -> None:
        """The caller polls a job."""
        self._add("GET", f"/api/v1/tasks/{job}", {"data": {"id": job, "status": status}})

    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.now += seconds

    def other(self, account: int) -> None:
        """The caller goes on with another key."""
        self.account = account

    def slow(self, seconds: int) -> None:
        """Answers take this long, and requests do not wait for them."""
        self.took = Decimal(seconds)

    def _add(self, method: str, path: str, json: Any, charge: Charge | None = None) -> None:  # noqa: ANN401 - JSON
        self.now += 1
        number, answer = len(self.exchanges) + 1, Message({}, {"json": json})
        self.exchanges.append(
            Exchange(
                number=number,
                at=Decimal(self.now),
                took=self.took,
                method=method,
                path=path,
                request=Message(),
                status=200,
                answer=answer,
                charge=charge,
                account=self.account,
            )
        )


def judged(steps: Sequence[tuple[Any, ...]]) -> Balances:
    """Judge a recording that is made of these steps."""
    tape = Tape()
    for name, *values in steps:
        getattr(tape, name)(*values)
    header = Header("vicsee", "guide", "vicsee.com", "2026-11-30T00:00:00Z")
    cassette = Cassette("run.jsonl", header, tuple(tape.exchanges))
    return balances(cassette, Tolls(book_of("vicsee"), pricer("vicsee")))


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
def test_balances_are_explained_by_requests(name: str) -> None:
    """A fall that no request explains, and a refund of another amount, are one finding each."""
    steps, expected = CASES[name]

    assert expected == list(told(judged(steps)))


def test_refund_during_a_paid_call_is_no_smaller_charge() -> None:
    """A charge that is smaller by exactly the price of a failed job is that job's refund."""
    found = judged([*FAILED, ("submit", "b", 80, 48, 0)])

    assert {3} == found.refunded
    assert [] == list(told(found))
