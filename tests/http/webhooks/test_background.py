"""Deliveries that nobody waits for: on the event loop of a program, beside its own calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.http.webhooks.conftest import HOOK, VIDEO, hang

if TYPE_CHECKING:
    from tests.http.webhooks.conftest import Start, World

PATIENCE = 300


class Loop:
    """A world as an asynchronous program uses it."""

    def __init__(self, world: World, http: httpx.AsyncClient) -> None:
        """Use this client for everything."""
        self.world, self.http = world, http

    async def submit(self) -> str:
        """Submit a task that tells the receiver of its end."""
        answer = await self.http.post(
            "/wavespeed/api/v3/runwayml/upscale-v1",
            params={"webhook": HOOK},
            json={"video": VIDEO},
            headers={"authorization": "Bearer mine"},
        )
        found: str = answer.raise_for_status().json()["data"]["id"]
        return found

    async def came(self, count: int) -> None:
        """Wait until so many webhooks came."""
        await self._until(lambda: len(self.world.receiver.requests) >= count)

    async def made(self, count: int) -> None:
        """Wait until so many attempts are logged."""
        await self._until(lambda: sum(len(d.attempts) for d in self.world.deliveries) >= count)

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():  # noqa: ASYNC110 - what is waited for knows nothing of the test
                await asyncio.sleep(0.001)


def run(world: World, program: Callable[[Loop], Awaitable[None]]) -> None:
    """Run an asynchronous program against a simulator in the same process."""

    async def whole() -> None:
        transport = world.sim.transport()
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            await program(Loop(world, http))
            await world.sim.app.deliverer.close()

    asyncio.run(whole())


@pytest.mark.parametrize(
    ("clock", "attempts"), [("auto", 4), ("scaled:1000", 4), ("scaled:1000000", 4)]
)
def test_attempts_are_made_without_client_requests(start: Start, clock: str, attempts: int) -> None:
    """Without client requests, the clock still reaches the end of the task and each retry."""
    world = start(*[500] * 4, clock=clock)

    async def program(loop: Loop) -> None:
        await loop.submit()
        await loop.made(attempts)

    run(world, program)

    assert [500] * attempts == [attempt.status for attempt in world.only.attempts]


def test_a_stopped_clock_delivers_what_is_due_now(start: Start) -> None:
    """On a stopped clock, a task that is ended by command sends its webhook at once."""
    world = start(500)

    async def program(loop: Loop) -> None:
        task = await loop.submit()
        path = f"/__sim/sandboxes/default/jobs/{task}/state"
        await loop.http.put(path, json={"state": "failed"})
        await loop.made(1)

    run(world, program)

    assert [500] == [attempt.status for attempt in world.only.attempts]


def test_advancing_waits_for_running_attempts(start: Start) -> None:
    """An advance returns only after a webhook attempt that was already running."""
    world = start(hang, 200)

    async def program(loop: Loop) -> None:
        task = await loop.submit()
        path = f"/__sim/sandboxes/default/jobs/{task}/state"
        await loop.http.put(path, json={"state": "failed"})
        await loop.came(1)
        await world.sim.advance_async(1)

    run(world, program)

    assert [None, 200] == [attempt.status for attempt in world.only.attempts]


def test_deleting_a_sandbox_ends_its_running_attempts(start: Start) -> None:
    """If a sandbox is deleted, its hanging webhook request is cancelled.

    The next sandbox starts without deliveries.
    """
    world = start(hang, webhook_seconds=60)

    async def program(loop: Loop) -> None:
        task = await loop.submit()
        path = f"/__sim/sandboxes/default/jobs/{task}/state"
        await loop.http.put(path, json={"state": "failed"})
        await loop.came(1)
        await loop.http.delete("/__sim/sandboxes/default")
        await loop.submit()
        await world.sim.advance_async(10_000)

    run(world, program)

    assert len(world.receiver.requests) == 2
    assert [200] == [attempt.status for attempt in world.only.attempts]


def test_a_clock_that_starts_running_sends_pending_webhooks(start: Start) -> None:
    """If a stopped clock is set to run, the pending webhooks are sent."""
    world = start()

    async def program(loop: Loop) -> None:
        await loop.submit()
        await loop.http.patch("/__sim/sandboxes/default/clock", json={"mode": "scaled:100000"})
        await loop.made(1)

    run(world, program)

    assert world.only.outcome == "delivered"


def test_a_sync_advance_inside_a_loop_delivers_soon(start: Start) -> None:
    """Inside a running event loop, a sync `advance` returns first and the loop delivers then."""
    world = start()

    async def program(loop: Loop) -> None:
        await loop.submit()
        world.sim.advance(10_000)
        await loop.made(1)

    run(world, program)

    assert world.only.outcome == "delivered"


def test_a_slow_receiver_delays_no_other_delivery(start: Start) -> None:
    """On a running clock, several webhook deliveries run at the same time."""
    world = start(hang, clock="scaled:100000", webhook_seconds=60)

    async def program(loop: Loop) -> None:
        await loop.submit()
        await loop.submit()
        await loop.made(1)
        await loop.came(2)

    run(world, program)

    assert [0, 1] == sorted(len(delivery.attempts) for delivery in world.deliveries)
