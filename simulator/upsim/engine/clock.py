"""The clock of a sandbox: virtual time, which may follow the time of this machine."""

from __future__ import annotations

import time
from typing import Literal

from upsim.core.instants import LATEST, SECOND, Instant
from upsim.core.nearest_names import nearest_of

Mode = Literal["real", "scaled", "manual", "auto"]
EPOCH_OF_TESTS: Instant = 1_767_225_600 * SECOND
"""2026-01-01T00:00:00Z: the default start of `manual` and `auto` clocks."""
FASTEST = 1_000_000
"""Maximum virtual seconds per real second: eleven days a second."""
TICK: Instant = 1_000
"""A clock that moves by itself ends the steps of jobs on whole milliseconds: those of one go
together, which takes half the time of one at a time. A clock moved by hand knows every instant.
No step lasts longer for it: who lets the time of a plan pass finds the job at its end."""


AHEAD = "the sandbox is ahead of the wall clock; a real clock would have to go back"


class ClockError(ValueError):
    """An unknown clock mode, or a change that the clock cannot make."""


def wall_clock() -> Instant:
    """Return the time of this machine."""
    return time.time_ns() // 1000


monotonic = time.monotonic
"""Seconds on the machine's monotonic clock, for limits on real waiting."""


def parse_mode(text: str) -> tuple[Mode, int]:
    """Return a mode text as a mode and the virtual seconds per real second.

    The text is `real`, `manual`, `auto` or `scaled:<n>`.
    """
    name, _, rate = text.partition(":")
    short = rate.isascii() and rate.isdecimal() and len(rate) <= len(str(FASTEST))
    if name == "scaled" and short and 0 < int(rate) <= FASTEST:
        return ("scaled", int(rate))
    if name in ("real", "manual", "auto") and not rate:
        return (name, 1)  # type: ignore[return-value]  # mypy does not narrow by `in`
    scaled = f"scaled:<n> such as scaled:60 (n is a whole number from 1 to {FASTEST})"
    near = nearest_of(text, ("real", "manual", "auto"))
    hint = f"did you mean {near}? " if near else ""
    msg = f"clock {text[:80]!r} is unknown; {hint}allowed: real, manual, auto, {scaled}"
    raise ClockError(msg)


class Clock:
    """Virtual time: a rate of real time (`real`, `scaled`), or moved by hand (`manual`, `auto`).

    It never goes back. The steps of jobs fall due on whole ticks of it, unless they last for less.
    Durations of work are divided by `work_pace`: a clock that is not `real` has a rate instead.
    """

    __slots__ = (
        "_base_real",
        "_base_virtual",
        "_rate",
        "mode",
        "pace",
        "tick",
        "work_pace",
    )

    def __init__(
        self,
        mode: str = "manual",
        *,
        start: Instant | None = None,
        pace: int = 1,
        not_before: Instant = 0,
    ) -> None:
        """Start at `start`; the default is now for `real` and `scaled`, else a fixed time.

        A clock that continues an earlier one does not start before `not_before`, even if the clock
        of this machine was put back.
        """
        if pace < 1:
            msg = f"pace {pace} is not a whole number of 1 or more"
            raise ClockError(msg)
        self.pace = pace
        self._set(mode)
        self._base_real = wall_clock()
        moving = self.mode in ("real", "scaled")
        default = self._base_real if moving else EPOCH_OF_TESTS
        chosen = default if start is None or self.mode == "real" else start
        self._base_virtual = max(chosen, not_before)

    def _set(self, mode: str) -> None:
        self.mode, self._rate = parse_mode(mode)
        self.tick: Instant = 1 if self.moves_by_hand else TICK
        self._set_work_pace()

    def _set_work_pace(self) -> None:
        self.work_pace = self.pace if self.mode == "real" else 1

    def now(self) -> Instant:
        """Return the current virtual time."""
        if self.mode == "real" or self.mode == "scaled":  # noqa: PLR1714 - the hot path
            passed = (time.time_ns() // 1000 - self._base_real) * self._rate
            if passed > 0:
                self._base_virtual = min(self._base_virtual + passed, LATEST)
                self._base_real += passed // self._rate
        return self._base_virtual

    @property
    def moves_by_hand(self) -> bool:
        """Whether the time changes only by commands."""
        return self.mode in ("manual", "auto")

    @property
    def label(self) -> str:
        """The mode as it is written in settings."""
        return f"scaled:{self._rate}" if self.mode == "scaled" else self.mode

    def jump(self, to: Instant) -> None:
        """Move to a later time. Raises ClockError on a `real` clock or for an earlier time."""
        now = self.now()
        if self.mode != "real" and to < now:
            msg = f"the clock is at {now} and cannot go back (asked for {to})"
            raise ClockError(msg)
        self.reach(to)

    def reach(self, to: Instant) -> None:
        """Move to a time; do nothing if it is past, as can happen while the clock is moving.

        Raises ClockError on a `real` clock.
        """
        if self.mode == "real":
            modes = "manual, auto or scaled:<n>"
            msg = f"a real clock cannot be advanced; set its mode to {modes} first"
            raise ClockError(msg)
        if to > LATEST:
            msg = "no clock goes beyond the year 9000"
            raise ClockError(msg)
        now = self.now()
        if to > now:
            self._base_virtual = to
            self._base_real = wall_clock()

    def change(self, mode: str) -> None:
        """Continue in another mode from the current virtual time.

        Raises ClockError for `real` if the virtual time is ahead of the wall clock.
        """
        new, _ = parse_mode(mode)
        now = self.now()
        if new == "real" and now > wall_clock():
            raise ClockError(AHEAD)
        self._set(mode)
        self._base_real = wall_clock()
        self._base_virtual = max(now, self._base_real) if new == "real" else now

    def change_pace(self, pace: int) -> None:
        """Speed up jobs that start from now on by this factor."""
        self.pace = pace
        self._set_work_pace()

    def real_seconds_until(self, instant: Instant) -> float | None:
        """Return the real seconds until a virtual time; None if only a command can reach it."""
        if self.moves_by_hand:
            return None
        return max(0.0, (instant - self.now()) / SECOND / self._rate)


class PlayedClock(Clock):
    """A clock whose time a replay sets; its mode is the one in the recording.

    `wall` is the wall clock's time at the replayed command.
    """

    __slots__ = ("wall",)

    def __init__(self, mode: str, *, start: Instant, pace: int) -> None:
        """Start at `start`."""
        super().__init__("manual", start=start, pace=pace)
        self._set(mode)
        self.wall: Instant = LATEST

    def now(self) -> Instant:
        """Return the current virtual time."""
        return self._base_virtual

    def put(self, to: Instant) -> None:
        """Move to a later time; do nothing for an earlier one."""
        self._base_virtual = max(to, self._base_virtual)

    def change(self, mode: str) -> None:
        """Continue in another mode, if the recorded wall clock allowed this. Raises ClockError."""
        new, _ = parse_mode(mode)
        if new == "real" and self._base_virtual > self.wall:
            raise ClockError(AHEAD)
        self._set(mode)

    def real_seconds_until(self, instant: Instant) -> float | None:  # noqa: ARG002 - as above
        """Return None, because real time does not advance a replayed clock."""
        return None
