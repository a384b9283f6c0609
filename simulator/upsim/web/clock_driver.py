"""The passing of time: whoever moves the clock of a sandbox does it here.

There are three ways. An *advance* is a command: it goes one deadline at a time, delivers what each
set off before it goes on, and lets other requests in between. An answer that has to wait for
virtual time *moves* the clock and waits for no receiver. A quiet moment lets an `auto` clock
*jump*. (What an `auto` clock does after a poll was answered is in `engine/auto_clock.py`: one jump
of the engine, on the hot path.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from anyio.lowlevel import checkpoint

from upsim.core.instants import Instant
from upsim.engine.auto_clock import jump_to_next
from upsim.engine.clock import ClockError, monotonic
from upsim.engine.command_log import resumed
from upsim.engine.deadlines import Deadline
from upsim.engine.sandbox import Sandbox

QUIET_SECONDS = 0.02
"""An `auto` clock jumps for what waits after so long without traffic."""
Target = Callable[[], Instant | None]
"""How far an advance goes, asked anew before each step; None when it has arrived."""
Aim = Callable[[Sandbox], Target]
OnDeadline = Callable[[Deadline], object]


class WebhookFlusher(Protocol):
    """Who delivers webhooks."""

    def is_busy(self, sandbox: Sandbox) -> bool:
        """Whether something is being delivered, or is to be now."""

    def silent_for(self, sandbox: Sandbox) -> float | None:
        """Seconds since the oldest attempt under way was begun; None when there is none."""

    async def answered(self, sandbox: Sandbox, seconds: float) -> None:
        """Wait until a receiver answers, so many seconds at the most."""

    async def flush(self, sandbox: Sandbox) -> None:
        """Deliver what is due and return when all answers are there."""

    def rouse(self, sandbox: Sandbox) -> None:
        """Look after what is to be delivered, now and later."""


@dataclass(slots=True)
class ClockDriver:
    """Moves the clocks of all sandboxes, each by one advance at a time.

    `patience` is how many seconds of real time an advance waits for a receiver that was called
    before it came: that receiver may be the very one that asks.
    """

    courier: WebhookFlusher
    patience: float = 0.25
    _turns: dict[Sandbox, asyncio.Event] = field(default_factory=dict)

    def is_advancing(self, sandbox: Sandbox) -> bool:
        """Whether somebody advances the clock, and so delivers too."""
        return sandbox in self._turns

    async def advance(
        self, sandbox: Sandbox, aim: Aim, on_deadline: OnDeadline = lambda _deadline: None
    ) -> None:
        """Go where `aim` says when its turn comes; `on_deadline` is called with each that ran.

        Advances take turns. But a receiver that was called before and is silent may be waiting
        for this very advance: then time moves at once, and what that sets off is delivered
        afterwards. So a receiver may advance the clock inside its own handler.
        Raises ClockError for an earlier instant, or when the clock cannot be moved.
        """
        if not await self._has_turn(sandbox):
            await self._go(sandbox, aim(sandbox), on_deadline, delivering=False)
            self.courier.rouse(sandbox)
            return
        over = self._turns[sandbox] = asyncio.Event()
        try:
            target = aim(sandbox)
            await self.courier.flush(sandbox)
            await resumed("flush")
            await self._go(sandbox, target, on_deadline, delivering=True)
        finally:
            del self._turns[sandbox]
            over.set()
            self.courier.rouse(sandbox)
        sandbox.wake()

    async def _has_turn(self, sandbox: Sandbox) -> bool:
        """Wait until nobody else moves the clock or is called; False once patience ends."""
        while True:
            silent, turn = self.courier.silent_for(sandbox), self._turns.get(sandbox)
            if silent is None and turn is None:
                return True
            left = self.patience - (silent or 0.0)
            if left <= 0:
                return False
            if silent is not None:
                await self.courier.answered(sandbox, left)
            elif turn is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(turn.wait(), left)

    async def _go(
        self, sandbox: Sandbox, target: Target, on_deadline: OnDeadline, *, delivering: bool
    ) -> None:
        """One deadline after the other; what is held by the clock goes on in between."""
        while not sandbox.abandoned and (to := target()) is not None:
            deadline = next(sandbox.advance(to), None)
            if delivering and self.courier.is_busy(sandbox):
                await self.courier.flush(sandbox)
            await resumed("flush")
            if deadline is None:
                return
            on_deadline(deadline)
            sandbox.wake()
            await checkpoint()
            await resumed("checkpoint")

    def quiet_for(self, sandbox: Sandbox) -> float:
        """Seconds since the last request to a sandbox, or the last jump of its clock."""
        return monotonic() - max(sandbox.last_used, sandbox.last_jump)

    def jump(self, sandbox: Sandbox, *, latest: Instant | None = None) -> None:
        """After a quiet moment let an `auto` clock go to its next deadline, `latest` at the most.

        While somebody advances the clock it does not jump by itself.
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
    """Run what is due, letting requests to other sandboxes in between where that is much."""
    while not (sandbox.abandoned or sandbox.run_some_due()):
        await checkpoint()


def move(sandbox: Sandbox, to: Instant) -> None:
    """Go to an instant now, running what falls due; an earlier one was reached already."""
    for _ in sandbox.advance(max(to, sandbox.run_due())):
        pass
    sandbox.wake()


def until(sandbox: Sandbox, instant: Instant) -> Target:
    """To an instant. Raises ClockError when it lies in the past; it may come to lie there."""
    if instant < sandbox.now:
        msg = f"the clock stands at {sandbox.now} and never goes back (asked for {instant})"
        raise ClockError(msg)
    return lambda: max(instant, sandbox.now)


def until_idle(sandbox: Sandbox) -> Target:
    """Until no work is due later: what ends a retention does not count."""

    def following() -> Instant | None:
        deadline = sandbox.deadlines.next(expiries=False)
        return None if deadline is None else max(deadline.at, sandbox.now)

    return following
