"""Wait on the clock of a sandbox, for faults that delay responses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from upsim.core.events import Event
from upsim.core.faults import Wait
from upsim.core.instants import LATEST, SECOND, Instant
from upsim.engine.clock import monotonic
from upsim.engine.command_log import is_played, resumed
from upsim.engine.sandbox import Sandbox
from upsim.web.clock_driver import catch_up, move
from upsim.web.held_requests import HeldByManualClockError

MAX_REAL_SECONDS = 600.0
"""Maximum real seconds that a moving clock delays a response."""


async def pass_time(
    sandbox: Sandbox, wait: Wait, *, in_process: bool, manual_seconds: float
) -> None:
    """Wait: a real duration in real time, a virtual duration on the clock (`auto` clocks jump).

    With a `manual` clock, wait until it is advanced, but at most `manual_seconds` of real time.
    In process no other code can advance the clock, so waiting raises an error there.
    """
    await _pass(sandbox, wait, in_process=in_process, manual_seconds=manual_seconds)
    await resumed("delay")


async def _pass(sandbox: Sandbox, wait: Wait, *, in_process: bool, manual_seconds: float) -> None:
    if is_played() and (wait.real or sandbox.clock.mode != "auto"):
        return
    if wait.real:
        await _real(asyncio.Event(), wait.micros / SECOND)
        return
    until = min(sandbox.now + wait.micros, LATEST)
    if sandbox.clock.mode == "manual" and in_process:
        msg = "a fault delays this answer, but the clock is manual: use clock='auto', or a delay"
        raise HeldByManualClockError(f"{msg} of real time such as {{real: 50ms}}")
    if sandbox.clock.mode == "auto":
        move(sandbox, until)
        return
    await _until(sandbox, until, manual_seconds)


async def _until(sandbox: Sandbox, until: Instant, manual_seconds: float) -> None:
    changed = asyncio.Event()

    def listen(_events: Sequence[Event]) -> None:
        changed.set()

    sandbox.subscribe(listen)
    started = monotonic()
    try:
        while await _settled(sandbox) < until and not sandbox.abandoned:
            passed = monotonic() - started
            seconds = sandbox.clock.real_seconds_until(until)
            left = (manual_seconds if seconds is None else MAX_REAL_SECONDS) - passed
            if left <= 0:
                return
            changed.clear()
            await _real(changed, left if seconds is None else min(seconds, left))
    finally:
        sandbox.unsubscribe(listen)


async def _settled(sandbox: Sandbox) -> Instant:
    """Return the time, after all due deadlines; an advance runs its deadlines itself."""
    if not sandbox.clock.moves_by_hand:
        await catch_up(sandbox)
        sandbox.run_due()
    return sandbox.now


async def _real(changed: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(changed.wait(), seconds)
