"""Thousands of deadlines that fell due while nobody looked: run in pieces, all before an answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import httpx
import pytest

from upsim import Simulator
from upsim.core.faults import Wait
from upsim.core.instants import LATEST, SECOND
from upsim.engine.deadlines import Deadline
from upsim.engine.sandbox import Sandbox
from upsim.engine.timeline import MAX_AT_ONCE
from upsim.web.admin.events import EventStream, Streams
from upsim.web.delay_faults import pass_time

JOBS = 2 * MAX_AT_ONCE
UPSCALE = "/vicsee/api/v1/tools/upscale-video"
CLIP = {"video_url": "http://upsim.test/media/synthetic/320x240_30fps_2s.mp4"}
KEY = {"Authorization": "Bearer sk-any"}
READS = [
    "/vicsee/api/v1/tasks/{job}",
    "/vicsee/api/v1/credits",
    "/media/outputs/{job}.mp4",
    "/__sim/sandboxes/default/jobs?state=completed&limit=1",
]


async def _delay(simulator: Simulator) -> None:
    wait = Wait(60 * SECOND)
    await pass_time(simulator.sandbox, wait, in_process=False, manual_seconds=30)


async def _hold(simulator: Simulator) -> None:
    holds = simulator.app.dispatch.held_requests
    await holds._pass_time(simulator.sandbox, LATEST)


async def _follow(simulator: Simulator) -> None:
    stream = EventStream(simulator.sandbox, Streams(), None, "")
    await stream._wait(asyncio.Event(), 1)


@pytest.mark.parametrize("wait", [_delay, _hold, _follow])
async def test_overdue_deadlines_of_a_waiting_request_run_in_batches(
    monkeypatch: pytest.MonkeyPatch, wait: Callable[[Simulator], Awaitable[None]]
) -> None:
    """Other tasks of the event loop run between two batches of overdue deadlines.

    The batches are the same for a delayed response, a held request and an event stream.
    """
    counts = [0]
    real = Sandbox.carry_out

    async def others() -> None:
        while True:
            counts.append(0)
            await asyncio.sleep(0)

    def run(sandbox: Sandbox, deadline: Deadline) -> bool:
        counts[-1] += 1
        return real(sandbox, deadline)

    with Simulator(clock="scaled:1") as simulator:
        sandbox = simulator.sandbox
        async with httpx.AsyncClient(
            transport=simulator.transport(), base_url="http://127.0.0.1", headers=KEY
        ) as http:
            for _ in range(JOBS):
                await http.post(UPSCALE, json=CLIP)
        waiting = asyncio.ensure_future(wait(simulator)) if wait is _delay else None
        await asyncio.sleep(0)
        sandbox.clock.reach(sandbox.now + 600 * SECOND)
        monkeypatch.setattr(Sandbox, "carry_out", run)
        ticking = asyncio.create_task(others())
        sandbox.wake()
        await (waiting or wait(simulator))
        ticking.cancel()

    assert sum(counts) > 2 * MAX_AT_ONCE
    assert max(counts) <= MAX_AT_ONCE


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("clock", ["manual", "auto"])
async def test_a_read_request_runs_overdue_deadlines_in_batches(
    monkeypatch: pytest.MonkeyPatch, clock: str, path: str
) -> None:
    """While a read request runs many overdue deadlines, other tasks of the event loop also run.

    The response shows the state after all of these deadlines.
    """
    turns, ran = 0, list[int]()
    real = Sandbox.carry_out

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def run(sandbox: Sandbox, deadline: Deadline) -> bool:
        ran.append(turns)
        return real(sandbox, deadline)

    with Simulator(clock=clock) as simulator:
        sandbox = simulator.sandbox
        async with httpx.AsyncClient(
            transport=simulator.transport(), base_url="http://127.0.0.1", headers=KEY
        ) as http:
            for _ in range(JOBS):
                made = (await http.post(UPSCALE, json=CLIP)).json()
            sandbox.clock.reach(sandbox.now + 600 * SECOND)
            monkeypatch.setattr(Sandbox, "carry_out", run)
            ticking = asyncio.create_task(others())
            answer = await http.get(path.format(job=made["data"]["id"]))
            ticking.cancel()
    assert answer.status_code == 200, answer.text
    assert not sandbox.deadlines.next(expiries=False)
    assert len(ran) > 2 * MAX_AT_ONCE
    assert max(Counter(ran).values()) <= MAX_AT_ONCE
    if "jobs" in path:
        assert JOBS == answer.json()["total"]
