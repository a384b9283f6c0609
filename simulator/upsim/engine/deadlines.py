"""What is due when: one queue per sandbox, in order of (instant, sequence)."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Literal, NamedTuple

from upsim.core.instants import Instant

Kind = Literal["step", "refund", "forget_job", "forget_upload", "deliver", "announce"]
EXPIRIES = frozenset({"forget_job", "forget_upload"})
"""Deadlines that end a retention: skipped by `auto` clocks and by `to: idle`."""


class Deadline(NamedTuple):
    """A due moment; `key` is the job or upload, `step` the place in the plan that it ends.

    Of `deliver`, `key` is the delivery and `step` the number of the attempt.
    """

    at: Instant
    sequence: int
    kind: Kind
    key: str
    step: int


class Deadlines:
    """The queue of a sandbox: work and expiries, kept apart so that either can be asked for.

    A deadline that has come to nothing (its job was cancelled, or is forgotten) is never returned:
    `is_live` tells those from the others.
    """

    __slots__ = ("_expiries", "_is_live", "_sequence", "_work")

    def __init__(self, is_live: Callable[[Deadline], bool] = lambda _deadline: True) -> None:
        """An empty queue."""
        self._work: list[Deadline] = []
        self._expiries: list[Deadline] = []
        self._sequence = 0
        self._is_live = is_live

    def add(self, at: Instant, kind: Kind, key: str, step: int = 0) -> None:
        """Put a deadline into the queue."""
        self._sequence += 1
        heap = self._expiries if kind in EXPIRIES else self._work
        heapq.heappush(heap, Deadline(at, self._sequence, kind, key, step))

    def pop_due(self, now: Instant) -> Deadline | None:
        """The earliest deadline that is due, taken out of the queue."""
        work, expiries = self._work, self._expiries
        while True:
            heap = expiries if expiries and (not work or expiries[0] < work[0]) else work
            if not heap or heap[0].at > now:
                return None
            due = heapq.heappop(heap)
            if self._is_live(due):
                return due

    def next(self, *, expiries: bool = True) -> Deadline | None:
        """The earliest deadline, with or without those that end a retention."""
        heaps = [self._work, self._expiries] if expiries else [self._work]
        return min((head for heap in heaps if (head := self._head(heap))), default=None)

    def prune(self) -> None:
        """Drop what has come to nothing, wherever it is in the queue."""
        for heap in (self._work, self._expiries):
            heap[:] = filter(self._is_live, heap)
            heapq.heapify(heap)

    def __len__(self) -> int:
        """How many deadlines wait."""
        return len(self._work) + len(self._expiries)

    def _head(self, heap: list[Deadline]) -> Deadline | None:
        while heap and not self._is_live(heap[0]):
            heapq.heappop(heap)
        return heap[0] if heap else None
