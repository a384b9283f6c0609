"""What a receiver may do inside its own handler: time has one owner, and nobody waits in vain."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.http.webhooks.conftest import START, VIDEO
from tests.stateful.asgi_client import Request, exchange

if TYPE_CHECKING:
    from tests.http.webhooks.conftest import Start, World

LONG = 10_000
PATIENT = 60.0
"""Seconds that an attempt may take: far more than a test."""
ADVANCE = "/__sim/sandboxes/default/clock/advance"
KEY = {"authorization": "Bearer in-process", "content-type": "application/json"}


class Calls:
    """What handlers and programs call while an advance is under way."""

    def __init__(self) -> None:
        """Know no world yet."""
        self.world: World | None = None
        self.answers: list[Any] = []

    async def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401
        """Make one call of the server, beside all others."""
        assert self.world is not None
        found = await exchange(self.world.sim.app, Request(method, path, body), KEY)
        self.answers.append(found.json())
        return found.status, found.json()

    async def advance(self, _request: httpx.Request) -> httpx.Response:
        """Move the clock on by 1000 s, as a handler may."""
        status, _ = await self.call("POST", ADVANCE, {"seconds": 1000})
        return httpx.Response(status)

    async def poll(self, request: httpx.Request) -> httpx.Response:
        """Ask for the task that the webhook tells of."""
        task = request.headers["webhook-id"]
        await self.call("GET", f"/wavespeed/api/v3/predictions/{task}/result")
        return httpx.Response(200)

    async def reset(self, _request: httpx.Request) -> httpx.Response:
        """Empty the sandbox."""
        await self.call("POST", "/__sim/sandboxes/default/reset", {})
        return httpx.Response(200)

    async def submit(self, hook: str = "http://receiver.example/hook") -> None:
        """Submit a task that tells this address of its end."""
        path = f"/wavespeed/api/v3/runwayml/upscale-v1?webhook={hook}"
        status, _ = await self.call("POST", path, {"video": VIDEO})
        assert status == 200


@pytest.fixture
def calls() -> Calls:
    """Return what a handler may call."""
    return Calls()


@pytest.mark.parametrize("clock", ["manual", "auto"])
def test_a_handler_may_advance_the_clock(start: Start, calls: Calls, clock: str) -> None:
    """A webhook handler can advance the clock during another advance; one attempt suffices."""
    calls.world = world = start(calls.advance, clock=clock, webhook_seconds=PATIENT)
    world.wavespeed()
    end = world.call("POST", "clock/advance", {"seconds": 500})
    (inner,) = calls.answers

    assert world.receiver.seconds[0] < 500
    assert inner["now"] == end["now"]
    assert (world.sim.sandbox.now - START) / 1_000_000 == world.receiver.seconds[0] + 1000
    assert [200] == [attempt.status for attempt in world.only.attempts]


def test_webhooks_from_a_handler_are_sent_within_the_outer_advance(
    start: Start, calls: Calls
) -> None:
    """If a handler's advance ends a second task, the outer advance also sends its webhook."""
    calls.world = world = start(calls.advance, webhook_seconds=PATIENT)
    first, second = world.wavespeed(), world.wavespeed(target_resolution="4k")
    world.call("POST", "clock/advance", {"to": "next"})
    while len(world.receiver.requests) < 2:
        world.call("POST", "clock/advance", {"to": "next"})
    (inner,) = calls.answers

    assert [body["id"] for body in world.receiver.bodies] == [first, second]
    told = [entry for entry in inner["fired"] if entry["kind"] == "deliver"]
    assert [(entry["job"], entry["state"]) for entry in told] == [(second, "pending")]
    assert ["delivered"] * 2 == [delivery.outcome for delivery in world.deliveries]


@pytest.mark.parametrize("clock", ["manual", "auto"])
def test_a_handler_called_in_the_background_may_advance(
    start: Start, calls: Calls, clock: str
) -> None:
    """A webhook handler that is called in the background can advance the clock."""
    calls.world = world = start(calls.advance, clock=clock, webhook_seconds=PATIENT)

    async def program() -> None:
        await calls.submit()
        path = f"/__sim/sandboxes/default/jobs/{next(iter(world.sim.sandbox.state.jobs))}/state"
        await calls.call("PUT", path, {"state": "failed"})
        while not (world.deliveries and world.only.attempts):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)
        await world.sim.app.deliverer.close()

    asyncio.run(program())
    assert [200] == [attempt.status for attempt in world.only.attempts]
    assert world.sim.sandbox.now == START + 1000 * 1_000_000


def test_an_advance_waits_briefly_for_a_running_attempt(start: Start, calls: Calls) -> None:
    """An advance waits a moment for a running webhook attempt, not for its whole time-out."""
    free = asyncio.Event()

    async def slow(_request: httpx.Request) -> httpx.Response:
        await free.wait()
        return httpx.Response(200)

    calls.world = world = start(slow, webhook_seconds=PATIENT)
    timeline = world.sim.app.deliverer.clock_driver
    timeline.patience = 0.01

    async def program() -> None:
        await calls.submit()
        path = f"/__sim/sandboxes/default/jobs/{next(iter(world.sim.sandbox.state.jobs))}/state"
        await calls.call("PUT", path, {"state": "failed"})
        while not world.receiver.requests:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)
        await calls.call("POST", ADVANCE, {"seconds": 1})
        assert not world.only.attempts
        timeline.patience = PATIENT
        again = asyncio.ensure_future(calls.call("POST", ADVANCE, {"seconds": 1}))
        await asyncio.sleep(0)
        free.set()
        await again
        assert [200] == [attempt.status for attempt in world.only.attempts]
        await world.sim.app.deliverer.close()

    asyncio.run(program())
    assert world.sim.sandbox.now == START + 2 * 1_000_000


def test_a_poll_in_a_handler_may_pass_the_target_of_the_advance(start: Start, calls: Calls) -> None:
    """On an `auto` clock, a poll in a handler may pass the advance's target without an error."""
    calls.world = world = start(calls.poll, 200, clock="auto", webhook_seconds=PATIENT)

    async def program() -> None:
        await calls.submit()
        await calls.submit()
        first = next(iter(world.sim.sandbox.state.jobs))
        path = f"/__sim/sandboxes/default/jobs/{first}/state"
        await calls.call("PUT", path, {"state": "failed"})
        status, answer = await calls.call("POST", ADVANCE, {"seconds": "0.5"})
        assert (status, answer["now"][17:]) == (200, "01.000000Z")

    asyncio.run(program())
    assert [200] == [attempt.status for attempt in world.only.attempts]


def test_two_advances_add_up(start: Start, calls: Calls) -> None:
    """Two simultaneous advances run one after the other, and their durations add up."""
    calls.world = world = start()

    async def both() -> None:
        await calls.submit()
        await asyncio.gather(*(calls.call("POST", ADVANCE, {"seconds": 1000}) for _ in "ab"))
        await world.sim.app.deliverer.close()

    asyncio.run(both())
    assert world.sim.sandbox.now == START + 2000 * 1_000_000
    assert [len(answer["fired"]) for answer in calls.answers[1:]] == [3, 0]


def test_an_advance_fails_if_its_sandbox_is_reset(start: Start, calls: Calls) -> None:
    """If the receiver resets the sandbox during an advance, the advance gets the error `gone`."""
    calls.world = world = start(calls.reset, webhook_seconds=PATIENT)
    world.wavespeed()
    answer = world.call("POST", "clock/advance", {"seconds": LONG}, ok=False)

    assert answer["error"]["code"] == "gone"
    assert "was reset or deleted while its clock was advanced" in answer["error"]["message"]
    assert world.sim.sandbox.now == START


def test_a_program_may_advance_in_its_handler(start: Start) -> None:
    """A webhook handler can also advance the clock in Python, inside its own event loop."""
    seen: list[float] = []

    async def further(_request: httpx.Request) -> httpx.Response:
        await world.sim.advance_async(1000)
        seen.append((world.sim.sandbox.now - START) / 1_000_000)
        return httpx.Response(200)

    world = start(further, webhook_seconds=PATIENT)
    world.wavespeed()
    world.sim.advance(500)

    assert seen == [world.receiver.seconds[0] + 1000]
    assert world.only.outcome == "delivered"


def test_a_delayed_response_does_not_wait_for_a_receiver(start: Start, calls: Calls) -> None:
    """On an `auto` clock, a two-minute delay fault passes at once while a receiver hangs."""
    calls.world = world = start(clock="auto", webhook_seconds=PATIENT)
    hangs = asyncio.Event()

    async def hang(_request: httpx.Request) -> httpx.Response:
        await hangs.wait()
        return httpx.Response(200)

    world.receiver.answers.append(hang)

    async def program() -> None:
        await calls.submit()
        _, jobs = await calls.call("GET", "/__sim/sandboxes/default/jobs")
        (job,) = (found["id"] for found in jobs["jobs"])
        path = f"/__sim/sandboxes/default/jobs/{job}/state"
        await calls.call("PUT", path, {"state": "failed"})
        fault = {"provider": "wavespeed", "at": "poll", "do": {"delay": "2m"}}
        await calls.call("POST", "/__sim/sandboxes/default/faults", fault)
        before = world.sim.sandbox.now
        await calls.call("GET", f"/wavespeed/api/v3/predictions/{job}/result")
        assert world.sim.sandbox.now - before >= 120_000_000
        assert not world.only.attempts
        hangs.set()
        await world.sim.advance_async(1)
        await world.sim.app.deliverer.close()

    asyncio.run(program())
    assert [200] == [attempt.status for attempt in world.only.attempts]
