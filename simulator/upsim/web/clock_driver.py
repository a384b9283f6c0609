"""Move the clocks of sandboxes; other modules do not, except for the jump after a poll.

There are three ways to move a clock:

- An *advance* is a command. It runs one deadline at a time, and delivers the webhooks of each
  deadline before it runs the next deadline. Other requests may run in between.
- A response that must wait for virtual time *moves* the clock. It does not wait for webhook
  receivers.
- An `auto` clock *jumps* after a short time without requests. The jump after a poll is in
  `engine/auto_clock.py`, because polls are on the fast path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import msgspec
from anyio.lowlevel import checkpoint

from upsim.core.instants import Instant
from upsim.engine.auto_clock import jump_to_next
from upsim.engine.clock import ClockError, monotonic
from upsim.engine.command_log import resumed
from upsim.engine.deadlines import Deadline
from upsim.engine.sandbox import Sandbox

QUIET_SECONDS = 0.02
"""Seconds without requests after which an `auto` clock jumps for waiting work."""
Target = Callable[[], Instant | None]
"""Returns the next target of an advance, before each step; None at the end."""
Aim = Callable[[Sandbox], Target]
OnDeadline = Callable[[Deadline], object]


class WebhookFlusher(Protocol):
    """An object that delivers the webhooks of sandboxes."""

    def is_busy(self, sandbox: Sandbox) -> bool:
        """Return whether a delivery is running or is about to start."""

    def silent_for(self, sandbox: Sandbox) -> float | None:
        """Return the seconds since the oldest running attempt started; None if no attempt runs."""

    async def answered(self, sandbox: Sandbox, seconds: float) -> None:
        """Wait until a receiver responds, at most `seconds`."""

    async def flush(self, sandbox: Sandbox) -> None:
        """Deliver all due webhooks, and return when all responses have arrived."""

    def rouse(self, sandbox: Sandbox) -> None:
        """Start delivering webhooks in the background, now and whenever they become due."""


class ClockDriver(msgspec.Struct):
    """The driver of all sandbox clocks; each sandbox runs one advance at a time.

    `patience` is how many real seconds an advance waits for a webhook receiver that has not yet
    responded to an earlier webhook. The receiver itself may have requested the advance.
    """

    flusher: WebhookFlusher
    patience: float = 0.25
    _turns: dict[Sandbox, asyncio.Event] = msgspec.field(default_factory=dict)

    def is_advancing(self, sandbox: Sandbox) -> bool:
        """Return whether an advance is running, which also delivers webhooks."""
        return sandbox in self._turns

    async def advance(
        self, sandbox: Sandbox, aim: Aim, on_deadline: OnDeadline = lambda _deadline: None
    ) -> None:
        """Advance to `aim` after all earlier advances; call `on_deadline` for each deadline run.

        Advances run one after the other, with one exception. A webhook receiver that has not yet
        responded may itself wait for this advance. In that case the time moves at once, and the
        resulting webhooks are delivered afterwards. So a receiver may advance the clock inside its
        own handler.
        Raises ClockError for an earlier time, or if the clock cannot be moved.
        """
        if not await self._has_turn(sandbox):
            await self._go(sandbox, aim(sandbox), on_deadline, delivering=False)
            self.flusher.rouse(sandbox)
            return
        over = self._turns[sandbox] = asyncio.Event()
        try:
            target = aim(sandbox)
            await self.flusher.flush(sandbox)
            await resumed("flush")
            await self._go(sandbox, target, on_deadline, delivering=True)
        finally:
            del self._turns[sandbox]
            over.set()
            self.flusher.rouse(sandbox)
        sandbox.wake()

    async def _has_turn(self, sandbox: Sandbox) -> bool:
        """Wait until all earlier advances have ended; return False after `patience` seconds."""
        while True:
            silent, turn = self.flusher.silent_for(sandbox), self._turns.get(sandbox)
            if silent is None and turn is None:
                return True
            left = self.patience - (silent or 0.0)
            if left <= 0:
                return False
            if silent is not None:
                await self.flusher.answered(sandbox, left)
            elif turn is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(turn.wait(), left)

    async def _go(
        self, sandbox: Sandbox, target: Target, on_deadline: OnDeadline, *, delivering: bool
    ) -> None:
        """Run one deadline after the other; requests that wait for the clock continue between."""
        while not sandbox.abandoned and (to := target()) is not None:
            deadline = next(sandbox.advance(to), None)
            if delivering and self.flusher.is_busy(sandbox):
                await self.flusher.flush(sandbox)
            await resumed("flush")
            if deadline is None:
                return
            on_deadline(deadline)
            sandbox.wake()
            await checkpoint()
            await resumed("checkpoint")

    def quiet_for(self, sandbox: Sandbox) -> float:
        """Return the seconds since the last request to a sandbox, or the last jump of its clock."""
        return monotonic() - max(sandbox.last_used, sandbox.last_jump)

    def jump(self, sandbox: Sandbox, *, latest: Instant | None = None) -> None:
        """Make an `auto` clock jump to its next deadline, at most to `latest`, after a quiet time.

        During an advance the clock does not jump.
        """
        if self.is_advancing(sandbox) or self.quiet_for(sandbox) < QUIET_SECONDS:
            return
        sandbox.last_jump = monotonic()
        deadline = sandbox.deadlines.next(expiries=False)
        if latest is not None and (deadline is None or deadline.at > latest):
            move(sandbox, latest)
            return
        jump_to_next(sandbox)
        sandbox.wake()


async def catch_up(sandbox: Sandbox) -> None:
    """Run all due deadlines; if there are many, let requests to other sandboxes run in between."""
    while not (sandbox.abandoned or sandbox.run_some_due()):
        await checkpoint()


def move(sandbox: Sandbox, to: Instant) -> None:
    """Move the clock to a time and run what becomes due; do nothing if that time is in the past."""
    for _ in sandbox.advance(max(to, sandbox.run_due())):
        pass
    sandbox.wake()


def until(sandbox: Sandbox, instant: Instant) -> Target:
    """Return the target for a time. Raises ClockError if that time is in the past."""
    if instant < sandbox.now:
        msg = f"the clock is at {sandbox.now} and cannot go back (asked for {instant})"
        raise ClockError(msg)
    return lambda: max(instant, sandbox.now)


def until_idle(sandbox: Sandbox) -> Target:
    """Return the target after which no work is due; the end of a retention is not work."""

    def following() -> Instant | None:
        deadline = sandbox.deadlines.next(expiries=False)
        return None if deadline is None else max(deadline.at, sandbox.now)

    return following
