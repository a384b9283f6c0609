"""The queue of deadlines of a sandbox, in order of (instant, sequence)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush, heapreplace
from typing import Literal

import msgspec

from upsim.core.instants import Instant

Kind = Literal["step", "refund", "forget_job", "forget_upload", "deliver", "announce", "change"]
EXPIRIES = frozenset({"forget_job", "forget_upload", "change"})
"""Deadlines for which no client waits: the end of a retention, or a change of the rules.

`auto` clocks and `to: idle` skip them; they run once the clock has passed them for another reason.
"""
LANES = 64
"""Maximum lanes; deadlines of further lanes are sorted one by one."""


class Deadline(msgspec.Struct, frozen=True, order=True, gc=False):
    """A due moment; `key` is the job or upload, `step` the place in the plan that it ends.

    Of `deliver`, `key` is the delivery and `step` the number of the attempt; of `change`, `key`
    is the place of the change in its plan and `step` the number of the plan. `lane` is how far
    ahead it was set: those of one lane come in order.
    """

    at: Instant
    sequence: int
    kind: Kind
    key: str
    step: int
    lane: int


class Deadlines:
    """The queue of a sandbox: work and expiries, in separate queues.

    An obsolete deadline (its job was cancelled or forgotten) is never next and does not count;
    `is_live` recognises obsolete ones. Code that removes a deadline must check this itself.
    """

    __slots__ = ("_expiries", "_is_live", "_sequence", "_work")

    def __init__(self, is_live: Callable[[Deadline], bool] = lambda _deadline: True) -> None:
        """An empty queue."""
        self._work = _Queue()
        self._expiries = _Queue()
        self._sequence = 0
        self._is_live = is_live

    def add(self, at: Instant, kind: Kind, key: str, step: int = 0, *, lane: int = 0) -> None:
        """Put a deadline into the queue."""
        self._sequence = sequence = self._sequence + 1
        queue = self._expiries if kind in EXPIRIES else self._work
        queue.push(Deadline(at, sequence, kind, key, step, lane))

    def pop_due(self, now: Instant) -> Deadline | None:
        """The earliest deadline that is due, taken out of the queue, whether it is live or not."""
        work, expiries = self._work.heap, self._expiries.heap
        if expiries and expiries[0].at <= now and (not work or expiries[0] < work[0]):
            return self._expiries.pop()
        return self._work.pop() if work and work[0].at <= now else None

    def next(self, *, expiries: bool = True) -> Deadline | None:
        """The earliest deadline, with or without those that end a retention."""
        queues = [self._work, self._expiries] if expiries else [self._work]
        return min((head for queue in queues if (head := self._head(queue))), default=None)

    def prune(self) -> None:
        """Remove all obsolete deadlines."""
        self._work = _Queue(filter(self._is_live, self._work))
        self._expiries = _Queue(filter(self._is_live, self._expiries))

    @property
    def live(self) -> int:
        """The number of deadlines that will run, without obsolete ones."""
        return sum(
            self._is_live(deadline) for queue in (self._work, self._expiries) for deadline in queue
        )

    def __len__(self) -> int:
        """Return the number of deadlines in the queue, including obsolete ones."""
        return len(self._work) + len(self._expiries)

    def _head(self, queue: _Queue) -> Deadline | None:
        while queue.heap and not self._is_live(queue.heap[0]):
            queue.pop()
        return queue.heap[0] if queue.heap else None


class _Queue:
    """Deadlines in order, the earliest first in `heap`.

    Jobs that last equally long end in the order in which they began: of each lane only the first
    is in the heap, and the others wait behind it, where they need not be compared.
    """

    __slots__ = ("_lanes", "heap")

    def __init__(self, deadlines: Iterable[Deadline] = ()) -> None:
        self.heap: list[Deadline] = []
        self._lanes: dict[int, deque[Deadline]] = {}
        for deadline in sorted(deadlines):
            self.push(deadline)

    def push(self, deadline: Deadline) -> None:
        lane = self._lanes.get(deadline.lane)
        if lane is not None and lane[-1] < deadline:
            lane.append(deadline)
            return
        if lane is None and len(self._lanes) < LANES:
            self._lanes[deadline.lane] = deque((deadline,))
        heappush(self.heap, deadline)

    def pop(self) -> Deadline:
        first = self.heap[0]
        lane = self._lanes.get(first.lane)
        if lane is None or lane[0] is not first:
            return heappop(self.heap)
        lane.popleft()
        if lane:
            return heapreplace(self.heap, lane[0])
        del self._lanes[first.lane]
        return heappop(self.heap)

    def __iter__(self) -> Iterator[Deadline]:
        yield from self.heap
        for lane in self._lanes.values():
            yield from list(lane)[1:]  # the first of a lane is in the heap

    def __len__(self) -> int:
        return len(self.heap) + sum(len(lane) - 1 for lane in self._lanes.values())
