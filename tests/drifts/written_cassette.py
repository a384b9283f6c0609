"""A cassette that is written step by step, without a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from upsim_contracts.cassettes.cassette import (
    Cassette,
    Charge,
    Header,
    RecordedExchange,
    RecordedMessage,
)


@dataclass
class Tape:
    """A cassette of VicSee as it is written, an exchange every second."""

    exchanges: list[RecordedExchange] = field(default_factory=list)
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
        """Record that time passes."""
        self.now += seconds

    def other(self, account: int) -> None:
        """The caller goes on with another key."""
        self.account = account

    def slow(self, seconds: int) -> None:
        """Answers take this long, and requests do not wait for them."""
        self.took = Decimal(seconds)

    def _add(self, method: str, path: str, json: Any, charge: Charge | None = None) -> None:  # noqa: ANN401 - JSON
        self.now += 1
        number, answer = len(self.exchanges) + 1, RecordedMessage({}, {"json": json})
        self.exchanges.append(
            RecordedExchange(
                number=number,
                at=Decimal(self.now),
                took=self.took,
                method=method,
                path=path,
                request=RecordedMessage(),
                status=200,
                answer=answer,
                charge=charge,
                account=self.account,
            )
        )


def taped(steps: Sequence[tuple[Any, ...]]) -> Cassette:
    """Return the cassette that these steps make, each a method of `Tape` with its arguments."""
    tape = Tape()
    for name, *values in steps:
        getattr(tape, name)(*values)
    header = Header("vicsee", "guide", "vicsee.com", "2026-11-30T00:00:00Z")
    return Cassette("run.jsonl", header, tuple(tape.exchanges))
