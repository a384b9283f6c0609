"""Requests that a provider holds open until a job ends (sync mode)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from upsim.core.call import Call, Hold, Reply
from upsim.core.events import Event, JobMoved, JobsForgotten
from upsim.core.instants import LATEST, SECOND, Instant
from upsim.engine.clock import monotonic
from upsim.engine.command_log import is_played, resumed
from upsim.engine.sandbox import Sandbox
from upsim.web.clock_driver import QUIET_SECONDS, ClockDriver, catch_up

MANUAL_SECONDS = 30.0
"""Maximum real seconds that a `manual` clock holds a request over a socket."""


class HeldByManualClockError(RuntimeError):
    """A request is held on a manual clock in process, where no other code can advance the clock."""


class HeldRequests(msgspec.Struct, frozen=True):
    """Held requests that wait for jobs on the clock of their sandbox.

    `manual_seconds` is how long, in real time, a `manual` clock holds a request at most. In process
    a held request on a `manual` clock is an error instead.
    """

    clock_driver: ClockDriver
    manual_seconds: float = MANUAL_SECONDS
    in_process: bool = False

    async def wait(self, sandbox: Sandbox, call: Call, hold: Hold) -> Reply:
        """Hold the request until the job ends or the provider's own time limit is reached."""
        limit = int(hold.seconds * SECOND) // sandbox.clock.work_pace
        until = min(sandbox.now + limit, LATEST)
        manual = sandbox.clock.mode == "manual" and self.in_process and not is_played()
        if manual and not _ended(sandbox, hold):
            msg = (
                f"{call.operation} is held until job {hold.job} ends, but the clock is manual:"
                " use clock='auto', or submit without waiting and advance the clock yourself"
            )
            raise HeldByManualClockError(msg)
        await self._until_ended(sandbox, call, hold, until)
        call.now = sandbox.now
        job = call.job = sandbox.state.jobs.get(hold.job, call.job)
        late = job is not None and job.ended_at is not None and job.ended_at > until
        return hold.answer(call, late or not _ended(sandbox, hold))

    async def _until_ended(self, sandbox: Sandbox, call: Call, hold: Hold, until: Instant) -> None:
        changed = asyncio.Event()

        def listen(events: Sequence[Event]) -> None:
            if not events or any(_ends(event, hold.job) for event in events):
                call.job = sandbox.state.jobs.get(hold.job, call.job)  # it may soon be forgotten
                changed.set()

        sandbox.subscribe(listen)
        started = monotonic()
        try:
            while not is_played() and not _ended(sandbox, hold) and sandbox.now < until:
                changed.clear()
                if not await self._one_wait(sandbox, until, started, changed):
                    break
            await resumed("hold")
        finally:
            sandbox.unsubscribe(listen)

    async def _one_wait(
        self, sandbox: Sandbox, until: Instant, started: float, changed: asyncio.Event
    ) -> bool:
        """Wait for one change or deadline; return False when the maximum real time has passed."""
        seconds = self._seconds(sandbox, until)
        if seconds is None:
            seconds = self.manual_seconds - (monotonic() - started)
            if seconds <= 0:
                return False
        try:
            await asyncio.wait_for(changed.wait(), seconds)
        except TimeoutError:
            await self._pass_time(sandbox, until)
        return True

    def _seconds(self, sandbox: Sandbox, until: Instant) -> float | None:
        if sandbox.clock.mode == "auto":
            return QUIET_SECONDS
        deadline = sandbox.deadlines.next(expiries=False)
        target = until if deadline is None else min(until, deadline.at)
        return sandbox.clock.real_seconds_until(target)

    async def _pass_time(self, sandbox: Sandbox, until: Instant) -> None:
        if sandbox.clock.mode != "auto":
            await catch_up(sandbox)
        else:
            self.clock_driver.jump(sandbox, latest=until)


def _ended(sandbox: Sandbox, hold: Hold) -> bool:
    job = sandbox.state.jobs.get(hold.job)
    return sandbox.abandoned or job is None or job.ended


def _ends(event: Event, job: str) -> bool:
    if isinstance(event, JobsForgotten):
        return job in event.jobs
    return isinstance(event, JobMoved) and event.job == job
