"""Thousands of deadlines that fell due while nobody looked: run in pieces, all before an answer."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
import pytest

from upsim import Simulator
from upsim.core.instants import SECOND
from upsim.engine.deadlines import Deadline
from upsim.engine.sandbox import MOST_AT_ONCE, Sandbox

JOBS = 2 * MOST_AT_ONCE
UPSCALE = "/vicsee/api/v1/tools/upscale-video"
CLIP = {"video_url": "http://upsim.test/media/synthetic/320x240_30fps_2s.mp4"}
READS = [
    "/vicsee/api/v1/tasks/{job}",
    "/vicsee/api/v1/credits",
    "/media/outputs/{job}.mp4",
    "/__sim/sandboxes/default/jobs?state=completed&limit=1",
]


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("clock", ["manual", "auto"])
async def test_a_backlog_leaves_others_their_turn(
    monkeypatch: pytest.MonkeyPatch, clock: str, path: str
) -> None:
    """While it runs other tasks do; the answer then shows the present, as if it ran at once."""
    turns, ran = 0, list[int]()
    real = Sandbox._run

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def run(sandbox: Sandbox, deadline: Deadline) -> bool:
        ran.append(turns)
        return real(sandbox, deadline)

    key = {"Authorization": "Bearer sk-any"}
    with Simulator(clock=clock) as simulator:
        sandbox = simulator.sandbox
        async with httpx.AsyncClient(
            transport=simulator.transport(), base_url="http://127.0.0.1", headers=key
        ) as http:
            for _ in range(JOBS):
                made = (await http.post(UPSCALE, json=CLIP)).json()
            sandbox.clock.reach(sandbox.now + 600 * SECOND)
            monkeypatch.setattr(Sandbox, "_run", run)
            ticking = asyncio.create_task(others())
            answer = await http.get(path.format(job=made["data"]["id"]))
            ticking.cancel()
    assert answer.status_code == 200, answer.text
    assert not sandbox.deadlines.next(expiries=False)
    assert len(ran) > 2 * MOST_AT_ONCE
    assert max(Counter(ran).values()) <= MOST_AT_ONCE
    if "jobs" in path:
        assert JOBS == answer.json()["total"]
