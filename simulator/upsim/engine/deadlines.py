"""What is due when: one queue per sandbox, in order of (instant, sequence)."""

from __future__ import annotations

import heapq
from typing import Literal, NamedTuple

from upsim.core.instants import Instant

Kind = Literal["step", "refund", "forget_job", "forget_upload"]
EXPIRIES = frozenset({"forget_job", "forget_upload"})
"""Deadlines that end a retention: skipped by `auto` clocks and by `to: idle`."""


class Deadline(NamedTuple):
    """A due moment; `key` is the job or upload, `step` the place in the plan that it ends."""

    at: Instant
    sequence: int
    kind: Kind
    key: str
    step: int


class Deadlines:
    """The queue of a sandbox: work and expiries, kept apart so that either can be asked for."""

    __slots__ = ("_expiries", "_sequence", "_work")

    def __init__(self) -> None:
        """An empty queue."""
        self._work: list[Deadline] = []
        self._expiries: list[Deadline] = []
        self._sequence = 0

    def add(self, at: Instant, kind: Kind, key: str, step: int = 0) -> None:
        """Put a deadline into the queue."""
        self._sequence += 1
        heap = self._expiries if kind in EXPIRIES else self._work
        heapq.heappush(heap, Deadline(at, self._sequence, kind, key, step))

    def pop_due(self, now: Instant) -> Deadline | None:
        """The earliest deadline that is due, taken out of the queue."""
        work, expiries = self._work, self._expiries
        heap = expiries if expiries and (not work or expiries[0] < work[0]) else work
        return heapq.heappop(heap) if heap and heap[0].at <= now else None

    def next(self, *, expiries: bool = True) -> Deadline | None:
        """The earliest deadline, with or without those that end a retention."""
        heads = [heap[0] for heap in (self._work, self._expiries if expiries else []) if heap]
        return min(heads, default=None)

    def __len__(self) -> int:
        """How many deadlines wait."""
        return len(self._work) + len(self._expiries)
