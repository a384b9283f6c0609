"""Deliver webhooks from the outboxes of sandboxes; responses do not wait for deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
from starlette.types import ASGIApp

from upsim.core.instants import LATEST
from upsim.core.webhooks import AttemptOutcome
from upsim.engine.clock import monotonic
from upsim.engine.command_log import resumed
from upsim.engine.registry import Registry
from upsim.engine.sandbox import Sandbox
from upsim.engine.webhooks import Posting
from upsim.web.clock_driver import QUIET_SECONDS, ClockDriver
from upsim.web.webhook_targets import Receivers

if TYPE_CHECKING:
    import httpx

Observer = Callable[[Sandbox, Posting, AttemptOutcome], None]
MAX_SLEEP = 3600.0
MAX_AT_ONCE = 64
CLOSE_SECONDS = 1.0


class _Work(msgspec.Struct):
    """The running deliveries of one sandbox."""

    tasks: dict[asyncio.Task[None], float] = msgspec.field(default_factory=dict)
    timer: asyncio.Handle | None = None


class Deliverer:
    """The sender of due webhooks, in the background or during an advance.

    In the background, a `real` or `scaled` clock sends each webhook at its time. An `auto` clock
    sends the next webhook after a quiet time. An advance (`ClockDriver`) delivers the due
    webhooks after each deadline.
    """

    def __init__(
        self,
        registry: Registry,
        app: ASGIApp,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Deliver for all sandboxes of a registry; `transport` replaces the sockets."""
        self._receivers = Receivers(registry.settings, app, transport)
        self._seconds = registry.settings.webhook_seconds
        self._store = registry.store
        self._work: dict[Sandbox, _Work] = {}
        self._by_hand = False
        self.clock_driver = ClockDriver(self)
        self.observers: list[Observer] = []
        registry.subscribe(self.rouse)

    def add_hosts(self, hosts: Iterable[str]) -> None:
        """Deliver webhooks for these `host:port` forms without a socket."""
        self._receivers.add_hosts(hosts)

    def rouse(self, sandbox: Sandbox) -> None:
        """Check a sandbox for due webhooks when the event loop is next free."""
        work = self._work.get(sandbox)
        if sandbox.abandoned:
            self._drop(sandbox)
            return
        if work is None:
            work = self._work[sandbox] = _Work()
        if not self._by_hand and (loop := _running()) is not None:
            _set(work, loop.call_soon(self._look_after, sandbox))

    def rouse_all(self, sandboxes: Iterable[Sandbox]) -> None:
        """Check all sandboxes at the start, since an earlier server may have left webhooks."""
        for sandbox in sandboxes:
            if sandbox.webhooks.pending:
                self.rouse(sandbox)

    def is_busy(self, sandbox: Sandbox) -> bool:
        """Return whether a delivery is running or is about to start."""
        work = self._work.get(sandbox)
        return bool(sandbox.webhooks.outbox or (work is not None and work.tasks))

    def silent_for(self, sandbox: Sandbox) -> float | None:
        """Return the seconds since the oldest running attempt started; None if no attempt runs."""
        begun = self._under_way(sandbox).values()
        return monotonic() - min(begun) if begun else None

    async def answered(self, sandbox: Sandbox, seconds: float) -> None:
        """Wait until a receiver responds, at most `seconds`."""
        tasks = self._under_way(sandbox)
        if tasks:
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)

    def _under_way(self, sandbox: Sandbox) -> dict[asyncio.Task[None], float]:
        """Return the running attempts on this event loop, with their start times."""
        work, loop = self._work.get(sandbox), _running()
        tasks = {} if work is None else work.tasks
        return {task: begun for task, begun in tasks.items() if task.get_loop() is loop}

    async def flush(self, sandbox: Sandbox) -> None:
        """Deliver due webhooks, one after the other, and return when all responses have arrived."""
        while not sandbox.abandoned:
            if running := self._under_way(sandbox):
                await asyncio.wait(running)
            elif sandbox.webhooks.outbox:
                self._begin(sandbox, sandbox.webhooks.outbox.popleft())
            else:
                break
        self._report_withheld(sandbox)

    async def deliver(self, sandbox: Sandbox, posting: Posting) -> None:
        """Make one attempt now, and return when its response has arrived."""
        await asyncio.wait({self._begin(sandbox, posting)})
        await resumed("resent")

    @contextmanager
    def by_hand(self) -> Iterator[None]:
        """Stop background deliveries until the block ends; in it, the caller calls `flush`."""
        before, self._by_hand = self._by_hand, True
        try:
            yield
        finally:
            self._by_hand = before

    async def flush_all(self) -> None:
        """Deliver the due webhooks of all sandboxes."""
        for sandbox in list(self._work):
            if not sandbox.abandoned:
                sandbox.run_due()
            await self.flush(sandbox)
            if not sandbox.webhooks.pending:
                self._work.pop(sandbox, None)

    async def close(self) -> None:
        """Cancel all running deliveries."""
        tasks = {task for work in self._work.values() for task in work.tasks}
        for sandbox in list(self._work):
            self._drop(sandbox)
        ours = {task for task in tasks if task.get_loop() is _running()}
        if ours:
            await asyncio.wait(ours, timeout=CLOSE_SECONDS)

    def _look_after(self, sandbox: Sandbox) -> None:
        work = self._work.get(sandbox)
        if work is None or self.clock_driver.is_advancing(sandbox):
            return  # an advance delivers, and calls `rouse` at its end
        work.timer = None
        if not sandbox.run_some_due():
            self.rouse(sandbox)  # the rest in the next turn of the event loop
            return
        self._pass_time(sandbox, work)
        self._report_withheld(sandbox)
        outbox = sandbox.webhooks.outbox
        most = 1 if sandbox.clock.moves_by_hand else MAX_AT_ONCE
        while outbox and len(work.tasks) < most:
            self._begin(sandbox, outbox.popleft())
        self._set_timer(sandbox, work)

    def _report_withheld(self, sandbox: Sandbox) -> None:
        """Report to the observers which attempts a fault has delayed or suppressed."""
        withheld = sandbox.webhooks.withheld
        while withheld:
            posting, outcome = withheld.popleft()
            for observer in self.observers:
                observer(sandbox, posting, outcome)

    def _pass_time(self, sandbox: Sandbox, work: _Work) -> None:
        sandbox.run_due()
        if sandbox.clock.mode != "auto" or work.tasks or sandbox.webhooks.outbox:
            return
        if sandbox.webhooks.pending:
            self.clock_driver.jump(sandbox)

    def _set_timer(self, sandbox: Sandbox, work: _Work) -> None:
        """Check again when the next deadline is due; running tasks check at their end."""
        if not sandbox.webhooks.pending and not work.tasks:
            self._drop(sandbox)
            return
        deadline = sandbox.deadlines.next(expiries=False)
        loop = _running()
        if deadline is None or loop is None or deadline.at > LATEST:
            return
        if sandbox.clock.mode == "auto":
            seconds: float | None = max(0.0, QUIET_SECONDS - self.clock_driver.quiet_for(sandbox))
            if work.tasks:
                return
        else:
            seconds = sandbox.clock.real_seconds_until(deadline.at)
        if seconds is not None:
            later = loop.call_later(min(seconds, MAX_SLEEP), self._look_after, sandbox)
            _set(work, later)

    def _begin(self, sandbox: Sandbox, posting: Posting) -> asyncio.Task[None]:
        work = self._work.setdefault(sandbox, _Work())
        task = asyncio.get_running_loop().create_task(self._deliver(sandbox, posting))
        work.tasks[task] = monotonic()
        task.add_done_callback(lambda done: self._ended(sandbox, work, posting, done))
        return task

    def _ended(
        self, sandbox: Sandbox, work: _Work, posting: Posting, task: asyncio.Task[None]
    ) -> None:
        work.tasks.pop(task, None)
        if sandbox.abandoned or task.cancelled():
            return
        error = task.exception()
        if error is not None:  # a given transport may raise any exception
            sandbox.webhooks.record(
                posting, AttemptOutcome(None, f"{type(error).__name__}: {error}")
            )
        self.rouse(sandbox)

    async def _deliver(self, sandbox: Sandbox, posting: Posting) -> None:
        if not sandbox.webhooks.is_wanted(posting):
            return
        await self._store.settled()
        timeout = posting.timeout if self._seconds is None else self._seconds
        outcome = await self._receivers.post(posting, timeout)
        for observer in self.observers:
            observer(sandbox, posting, outcome)
        sandbox.webhooks.record(posting, outcome)

    def _drop(self, sandbox: Sandbox) -> None:
        work = self._work.pop(sandbox, None)
        if work is None:
            return
        if work.timer is not None:
            work.timer.cancel()
        for task in work.tasks:
            if not task.get_loop().is_closed():
                task.cancel()


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _set(work: _Work, timer: asyncio.Handle) -> None:
    if work.timer is not None:
        work.timer.cancel()
    work.timer = timer
