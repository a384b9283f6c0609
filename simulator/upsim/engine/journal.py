"""The journal: a bounded ring of requests and answers, for people, with a counter of all."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from upsim.core.baseline import ErrorRule
from upsim.core.instants import Instant
from upsim.core.media import Media

KEPT_BODY = 16_384
"""Bytes of a body that are kept; longer ones are cut and marked as cut."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer. The key itself is never held; `account` says whose it was.

    `rule` is the catalogue entry that refused the request, `job` the job that it made or read,
    `assumed` the default media that stood for a URL which was not fetched.
    """

    number: int
    at: Instant
    provider: str
    operation: str
    method: str
    target: str
    body: bytes
    body_size: int
    account: int | None
    dialect: str
    rules: str
    status: int = 0
    reply: bytes = b""
    reply_size: int = 0
    rule: ErrorRule | None = None
    job: str | None = None
    assumed: Media | None = None


class Journal:
    """The last exchanges of a sandbox."""

    def __init__(self, kept: int) -> None:
        """Keep so many exchanges at the most."""
        self._ring: deque[Exchange] = deque(maxlen=kept)
        self.count = 0

    def add(self, exchange: Exchange) -> None:
        """Take in an exchange; the oldest falls out when the ring is full."""
        self.count += 1
        exchange.number = self.count
        self._ring.append(exchange)

    def clear(self) -> None:
        """Forget the exchanges; the counter goes on."""
        self._ring.clear()

    def since(self, number: int) -> list[Exchange]:
        """Those after this number that are still in the ring, oldest first."""
        fresh = []
        for exchange in reversed(self._ring):
            if exchange.number <= number:
                break
            fresh.append(exchange)
        return fresh[::-1]

    def __iter__(self) -> Iterator[Exchange]:
        """The kept exchanges, oldest first."""
        return iter(self._ring)

    def __len__(self) -> int:
        """How many exchanges are kept."""
        return len(self._ring)
