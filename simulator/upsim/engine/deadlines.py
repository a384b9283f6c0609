"""The queue of a sandbox's deadlines, ordered by time and sequence number."""

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
    """A time at which something is due; `key` is the job or upload, `step` the plan's step.

    For `deliver`, `key` is the delivery and `step` the number of the attempt. For `change`,
    `key` is the position of the change in its plan and `step` the number of the plan. `lane`
    is the time between setting and due date; deadlines of one lane are in order.
    """

    at: Instant
    sequence: int
    kind: Kind
    key: str
    step: int
    lane: int


class Deadlines:
    """The queue of a sandbox: work and expiries, in separate queues.

    An obsolete deadline (its job was cancelled or forgotten) is never returned by `next` and
    not counted by `live`; `is_live` recognises obsolete deadlines. `pop_due` does not check
    this, so its caller must.
    """

    __slots__ = ("_expiries", "_is_live", "_sequence", "_work")

    def __init__(self, is_live: Callable[[Deadline], bool] = lambda _deadline: True) -> None:
        """Start with an empty queue."""
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
        """Remove and return the earliest due deadline, even if it is obsolete."""
        work, expiries = self._work.heap, self._expiries.heap
        if expiries and expiries[0].at <= now and (not work or expiries[0] < work[0]):
            return self._expiries.pop()
        return self._work.pop() if work and work[0].at <= now else None

    def next(self, *, expiries: bool = True) -> Deadline | None:
        """Return the earliest deadline; `expiries` includes deadlines that end a retention."""
        queues = [self._work, self._expiries] if expiries else [self._work]
        return min((head for queue in queues if (head := self._head(queue))), default=None)

    def take_over(self, other: Deadlines) -> None:
        """Replace all deadlines by those of another queue, which is not changed."""
        self._work, self._expiries = other._work.copy(), other._expiries.copy()
        self._sequence = other._sequence

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
    """Deadlines in order, with the earliest first in `heap`.

    Jobs of equal duration end in the order in which they began. Therefore only the first
    deadline of each lane is in the heap. Later deadlines of a lane wait in a list and need no
    comparison.
    """

    __slots__ = ("_lanes", "heap")

    def __init__(self, deadlines: Iterable[Deadline] = ()) -> None:
        self.heap: list[Deadline] = []
        self._lanes: dict[int, deque[Deadline]] = {}
        for deadline in sorted(deadlines):
            self.push(deadline)

    def copy(self) -> _Queue:
        copied = _Queue()
        copied.heap = self.heap.copy()
        copied._lanes = {lane: deadlines.copy() for lane, deadlines in self._lanes.items()}
        return copied

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
