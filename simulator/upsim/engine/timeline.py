"""The events of a sandbox, the resulting state, and its deadlines.

A `Timeline` only commits events and runs deadlines. The parts of a sandbox (`jobs`, `money`,
`webhooks` and so on) share it; `sandbox.py` says which part handles a deadline.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import msgspec

from upsim.core.events import ClockMoved, Event
from upsim.core.instants import Instant
from upsim.core.ledger import Entry
from upsim.engine.clock import Clock, ClockError, wall_clock
from upsim.engine.deadlines import Deadline
from upsim.engine.event_log import EventLog, MemoryLog
from upsim.engine.sandbox_state import SandboxState
from upsim.engine.seeds import Seeds
from upsim.engine.settings import SandboxSettings

Listener = Callable[[Sequence[Event]], None]
MAX_AT_ONCE = 300
"""Deadlines that are run in one turn of the event loop: some 30 ms."""


class Past(msgspec.Struct, frozen=True):
    """The history from which a timeline continues: its first instant, events, and their state.

    Everything that was due by `until` has run. The clock may show a later time.
    """

    began: Instant
    until: Instant
    events: Sequence[Event]
    state: SandboxState

    @property
    def clock(self) -> ClockMoved:
        """The last move of the clock."""
        if self.state.clock is None:
            raise ValueError("every history begins with a move of the clock")
        return self.state.clock


class Start(msgspec.Struct, frozen=True):
    """The start of a timeline: a clock, a seed, and a past if it continues another timeline."""

    clock: Clock
    seeds: Seeds
    past: Past | None = None


class Timeline(ABC):
    """The events, state, clock and deadlines of one sandbox.

    `now` is the instant of the command or deadline that is being run, `began` the first instant.
    """

    def __init__(
        self,
        name: str,
        *,
        start: Start,
        log: EventLog,
        choices: SandboxSettings,
    ) -> None:
        """Start without events, or after those of a past."""
        self.id = name
        self.clock = start.clock
        self.seeds = start.seeds
        self.choices = choices
        self.state = SandboxState(self.is_live)
        self.deadlines = self.state.deadlines
        self.now: Instant = start.clock.now()
        self.began = self.now
        self.abandoned = False
        self.listeners: tuple[Listener, ...] = ()
        self._log = log
        self._version = 0
        if start.past is not None:
            self.began, self.now = start.past.began, start.past.until
            self.state.take_over(start.past.state)
            self._version = log.append(name, 0, start.past.events)
        self._note_clock(start.clock.now())

    # -- events

    def commit(self, event: Event, charge: Entry | None = None) -> None:
        """Append an event to the log and apply it to the state; if this raises, nothing changes.

        A job is committed together with its charge.
        """
        state = self.state
        check, apply = state.handlers[type(event)]
        check(event)
        if charge is None:
            events: tuple[Event, ...] = (event,)
        else:
            state.check_charge(event, charge)
            events = (event, charge)
        self._version = self._log.append(self.id, self._version, events)
        apply(event)
        if charge is not None:
            state.apply_entry(charge)
        for listener in self.listeners:
            listener(events)

    @property
    def version(self) -> int:
        """The number of committed events."""
        return self._version

    def events(self) -> Sequence[Event]:
        """Return the events in the log, which may be compacted."""
        return self._log.read(self.id)

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` with all events after each commit; `wake` calls it without events."""
        self.listeners = (*self.listeners, listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Remove a listener."""
        self.listeners = tuple(one for one in self.listeners if one != listener)

    def wake(self) -> None:
        """Call the listeners without events: time may have passed."""
        for listener in self.listeners:
            listener(())

    def cut_off(self) -> None:
        """Use a separate log from now on, because another sandbox has replaced this one."""
        self.abandoned = True
        self._log, self._version = MemoryLog(), 0

    # -- the clock

    @property
    def jumped(self) -> Instant:
        """How much time an `auto` clock has skipped by itself."""
        return self.state.jumped

    def move_clock(self, to: Instant, *, by_itself: bool = False) -> None:
        """Move the clock to a later instant; do nothing if the instant has passed.

        `by_itself` says that an `auto` clock jumps. Raises ClockError on a `real` clock.
        """
        before = self.clock.now()
        self.clock.reach(to)
        if self.clock.now() > before:
            self._note_clock(before, by_itself=by_itself)

    def change_clock(self, *, mode: str | None = None, pace: int | None = None) -> None:
        """Continue in another mode, at another pace. Raises ClockError."""
        before = self.clock.now()
        if mode is not None:
            self.clock.change(mode)
        if pace is not None:
            self.clock.change_pace(pace)
        self._note_clock(before)

    def _note_clock(self, before: Instant, *, by_itself: bool = False) -> None:
        clock = self.clock
        now = clock.now()
        wall = 0 if clock.moves_by_hand else wall_clock()
        passed = now - before if by_itself else 0
        self.commit(ClockMoved(now, before, clock.label, clock.pace, wall, passed))

    # -- deadlines

    @abstractmethod
    def is_live(self, deadline: Deadline) -> bool:
        """Return whether a deadline still has something to do."""

    @abstractmethod
    def carry_out(self, deadline: Deadline) -> bool:
        """Run a due deadline. Return False if it is obsolete, and then do nothing."""

    def run_due(self) -> Instant:
        """Run everything that is due by now, and return the current time."""
        present = self.clock.now()
        while (deadline := self.deadlines.pop_due(present)) is not None:
            self.now = max(self.now, deadline.at)
            self.carry_out(deadline)
        self.now = max(self.now, present)
        return self.now

    def run_some_due(self, most: int = MAX_AT_ONCE) -> bool:
        """Run at most `most` due deadlines; return whether all due deadlines have run.

        Without this limit, thousands of due jobs would delay all other sandboxes.
        """
        present = self.clock.now()
        for _ in range(most):
            deadline = self.deadlines.pop_due(present)
            if deadline is None:
                self.now = max(self.now, present)
                return True
            self.now = max(self.now, deadline.at)
            self.carry_out(deadline)
        return False

    def advance(self, to: Instant, *, by_itself: bool = False) -> Iterator[Deadline]:
        """Go to a later instant, one deadline at a time, yielding each once it has run.

        `by_itself` says that an `auto` clock jumps. Raises ClockError for an earlier instant.
        """
        if to < self.now:
            msg = f"the clock is at {self.now} and cannot go back (asked for {to})"
            raise ClockError(msg)
        while (deadline := self.deadlines.next()) is not None and deadline.at <= to:
            self.move_clock(deadline.at, by_itself=by_itself)
            due = self.deadlines.pop_due(deadline.at)
            if due is not None:
                self.now = max(self.now, due.at)
                if self.carry_out(due):
                    yield due
        self.move_clock(to, by_itself=by_itself)
        self.run_due()

    @property
    def idle(self) -> bool:
        """Return whether all jobs are finished and no work is due later."""
        return self.deadlines.next(expiries=False) is None
