"""The live events of a sandbox: a buffer of limited size, for any number of readers.

It starts with the first reader and ends a while after the last reader has left. A sandbox
without readers then has no cost. Only references are kept; readers render them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from upsim.core.events import Event
from upsim.engine.clock import monotonic
from upsim.engine.request_records import Record, RecordLog
from upsim.engine.seeds import fresh_token
from upsim.engine.timeline import Timeline

KEPT = 1024
"""Number of events that can be read again."""
LINGERS = 60.0
"""Seconds of real time that a ring is kept up after its last reader left."""


Happening = Event | Record


class Feed:
    """The events of one sandbox, with numbers that do not depend on readers."""

    def __init__(self, timeline: Timeline, records: RecordLog, kept: int = KEPT) -> None:
        """Start without events; recording begins with the first reader."""
        self.epoch = fresh_token()[:8]
        self.number = 0
        self.readers = 0
        self._timeline = timeline
        self._records = records
        self._ring: deque[tuple[int, Happening]] = deque(maxlen=kept)
        self._changed: set[asyncio.Event] = set()
        self._left = 0.0
        self._running = False
        self._seen = self._counters()

    # -- readers

    def join(self) -> asyncio.Event:
        """Start reading: the returned event is set whenever the feed may have new entries."""
        self.readers += 1
        if not self._running:
            self._start()
        changed = asyncio.Event()
        self._changed.add(changed)
        return changed

    def leave(self, changed: asyncio.Event) -> None:
        """Stop reading the events."""
        self._changed.discard(changed)
        self.readers -= 1
        self._left = monotonic()

    def after(self, number: int) -> list[tuple[int, Happening]]:
        """Return the kept events after a number, oldest first."""
        found = []
        for numbered in reversed(self._ring):
            if numbered[0] <= number:
                break
            found.append(numbered)
        return found[::-1]

    @property
    def first(self) -> int:
        """The number of the oldest kept event, or of the next one."""
        return self._ring[0][0] if self._ring else self.number + 1

    # -- what happens

    def on_events(self, events: Sequence[Event]) -> None:
        """Add committed events of the sandbox, and wake all readers."""
        for event in events:
            self._add(event)
        self._wake()

    def on_record(self, record: Record) -> None:
        """Add a record, and wake all readers."""
        self._add(record)
        self._wake()
        if not self.readers and monotonic() - self._left > LINGERS:
            self._stop()

    # -- inside

    def _add(self, happening: Happening) -> None:
        self.number += 1
        self._ring.append((self.number, happening))

    def _wake(self) -> None:
        for changed in self._changed:
            changed.set()

    def _counters(self) -> int:
        """Return the number of events and records so far, recorded or not."""
        return self._timeline.version + self._records.count

    def _start(self) -> None:
        missed = self._counters() - self._seen
        if missed:
            self._ring.clear()
            self.number += missed
        self._running = True
        self._timeline.subscribe(self.on_events)
        self._records.subscribe(self.on_record)

    def _stop(self) -> None:
        self._running = False
        self._seen = self._counters()
        self._timeline.unsubscribe(self.on_events)
        self._records.unsubscribe(self.on_record)
