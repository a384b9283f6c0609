"""Webhooks in virtual time: when they come, what they hold, and how often they are tried."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from msgspec.structs import replace

from tests.http.webhooks.conftest import HOOK, fail, garbage, hang, huge, is_signed, redirect, reset
from upsim.core.events import AccountOpened

if TYPE_CHECKING:
    from tests.http.webhooks.conftest import Answer, Start, World

LONG = 10_000


def test_no_webhook_comes_before_the_end(world: World) -> None:
    """While a task is processing, no webhook is sent."""
    task = world.wavespeed()
    world.sim.advance(1)

    assert world.status(task) == "processing"
    assert world.receiver.requests == []


def test_the_end_is_delivered_once(world: World) -> None:
    """A receiver that responds with a 2xx gets the webhook once, however much time passes."""
    world.wavespeed()
    world.sim.advance(LONG)
    world.sim.advance(LONG)

    assert len(world.receiver.requests) == 1
    assert world.only.outcome == "delivered"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_ends_the_delivery(start: Start, status: int) -> None:
    """Any response status from 200 to 299 ends the delivery."""
    world = start(status)
    world.wavespeed()
    world.sim.advance(LONG)

    assert [attempt.status for attempt in world.only.attempts] == [status]


def test_wavespeed_posts_the_bare_record(world: World) -> None:
    """A WaveSpeed webhook has the task record and the input, without an envelope."""
    task = world.wavespeed(target_resolution="1080p")
    world.sim.advance(LONG)
    (found,) = world.receiver.bodies
    shown = world.clients["wavespeed"].get(f"/api/v3/predictions/{task}/result").json()["data"]

    assert {**shown, "input": {"video": found["input"]["video"], "target_resolution": "1080p"}} == (
        found
    )


def test_wavespeed_signs_what_it_sends(world: World) -> None:
    """The signature of a WaveSpeed webhook is valid for its bytes and the account's secret."""
    task = world.wavespeed()
    world.sim.advance(LONG)
    (request,) = world.receiver.requests

    assert is_signed(request, world.secret)
    assert request.headers["webhook-id"] == task
    assert request.headers["content-type"] == "application/json"


def test_piapi_posts_the_task(world: World) -> None:
    """A PiAPI webhook has a timestamp and the task as get-task shows it, but no code or message."""
    task = world.piapi()
    world.sim.advance(LONG)
    (found,) = world.receiver.bodies

    assert set(found) == {"timestamp", "data"}
    assert found["data"] == world.clients["piapi"].get(f"/api/v1/task/{task}").json()["data"]


def test_piapi_sends_the_client_secret(world: World) -> None:
    """PiAPI sends the client's secret in `x-webhook-secret` and in the echoed config."""
    world.piapi(secret="Ünïcode s3cret")
    world.sim.advance(LONG)
    (request,) = world.receiver.requests

    assert request.headers["x-webhook-secret"].encode("utf-8").decode() == "Ünïcode s3cret"
    assert world.receiver.bodies[0]["data"]["config"]["webhook_config"]["secret"] == (
        "Ünïcode s3cret"
    )


@pytest.mark.parametrize("secret", [None, ""])
def test_piapi_sends_no_empty_secret(world: World, secret: str | None) -> None:
    """If the task has no secret, the PiAPI webhook has no `x-webhook-secret` header."""
    world.piapi(secret=secret)
    world.sim.advance(LONG)

    assert "x-webhook-secret" not in world.receiver.requests[0].headers


def test_piapi_needs_an_endpoint_for_a_webhook(world: World) -> None:
    """PiAPI stores a secret without an endpoint, and sends no webhook."""
    world.piapi(hook="")
    world.sim.advance(LONG)

    assert world.deliveries == []


@pytest.mark.parametrize("refusal", [404, 500, 302, 410])
def test_wavespeed_tries_four_times(start: Start, refusal: int) -> None:
    """WaveSpeed makes four webhook attempts, with pauses of 1, 2 and 4 seconds."""
    world = start(*[refusal] * 9)
    world.wavespeed()
    world.sim.advance(LONG)
    began = world.receiver.seconds[0]

    assert [0, 1, 3, 7] == [second - began for second in world.receiver.seconds]
    assert world.only.outcome == "given_up"


def test_piapi_tries_three_times(start: Start) -> None:
    """PiAPI makes three webhook attempts, with pauses of five seconds."""
    world = start(*[500] * 9)
    world.piapi()
    world.sim.advance(LONG)
    began = world.receiver.seconds[0]

    assert [0, 5, 10] == [second - began for second in world.receiver.seconds]


def test_piapi_may_try_four_times(start: Start) -> None:
    """With the knob `webhook_first_attempt`, PiAPI makes three retries after the first attempt."""
    world = start(*[500] * 9)
    order = {
        "id": "four",
        "clock": "manual",
        "knobs": {"piapi": {"webhook_first_attempt": "extra"}},
    }
    key = world.admin.post("/__sim/sandboxes", json=order).json()["keys"]["piapi"]
    world.clients["piapi"].headers["x-api-key"] = key
    world.piapi()
    world.admin.post("/__sim/sandboxes/four/clock/advance", json={"to": "idle"})

    assert len(world.receiver.requests) == 4


def test_piapi_may_send_a_webhook_at_the_start(world: World) -> None:
    """With the knob `webhook_on_processing`, PiAPI also sends a webhook when a task starts."""
    order = {"id": "on", "clock": "manual", "knobs": {"piapi": {"webhook_on_processing": "yes"}}}
    key = world.admin.post("/__sim/sandboxes", json=order).json()["keys"]["piapi"]
    world.clients["piapi"].headers["x-api-key"] = key
    world.piapi()
    world.admin.post("/__sim/sandboxes/on/clock/advance", json={"to": "idle"})

    assert ["processing", "completed"] == [b["data"]["status"] for b in world.receiver.bodies]


def test_a_successful_retry_is_the_last(start: Start) -> None:
    """After a failed and a successful webhook attempt, no further attempt is made."""
    world = start(500, 200)
    world.wavespeed()
    world.sim.advance(LONG)

    assert [500, 200] == [attempt.status for attempt in world.only.attempts]


def test_wavespeed_signs_each_attempt_anew(start: Start) -> None:
    """Each WaveSpeed attempt has the same id and bytes, but its own timestamp and signature."""
    world = start(500, 500, 500, webhook_timestamp="virtual")
    world.wavespeed()
    world.sim.advance(LONG)
    requests = world.receiver.requests
    seconds = [int(request.headers["webhook-timestamp"]) for request in requests]

    assert [0, 1, 3, 7] == [second - seconds[0] for second in seconds]
    assert len({request.headers["webhook-id"] for request in requests}) == 1
    assert len({request.content for request in requests}) == 1
    assert all(is_signed(request, world.secret) for request in requests)


def test_piapi_keeps_its_timestamp(start: Start) -> None:
    """All attempts of a PiAPI webhook have the same timestamp; another webhook has a new one."""
    world = start(500, 500, 200, webhook_timestamp="virtual")
    world.piapi()
    world.sim.advance(LONG)
    world.piapi()
    world.sim.advance(LONG)
    stamps = [body["timestamp"] for body in world.receiver.bodies]

    assert stamps[0] == stamps[1] == stamps[2]
    assert stamps[3] > stamps[2]


def test_webhook_timestamps_use_the_real_time(world: World) -> None:
    """By default, webhook timestamps use the real time, because receivers check it."""
    before = int(time.time())
    world.wavespeed()
    world.sim.advance(LONG)
    found = int(world.receiver.requests[0].headers["webhook-timestamp"])

    assert before <= found <= time.time()
    assert world.only.attempts[0].stamp == found


def test_two_ends_come_in_order(world: World) -> None:
    """The webhooks of two tasks are sent in the order in which the tasks end."""
    first = world.wavespeed()
    world.sim.advance(1)
    second = world.wavespeed()
    world.sim.advance(LONG)

    assert [first, second] == [body["id"] for body in world.receiver.bodies]


def test_a_forced_failure_sends_a_webhook(world: World) -> None:
    """If an operator ends a task, its webhook is sent at once, even on a stopped clock."""
    task = world.wavespeed()
    world.call("PUT", f"jobs/{task}/state", {"state": "failed"})

    assert ["failed"] == [body["status"] for body in world.receiver.bodies]


def test_a_cancelled_task_reads_as_failed(world: World) -> None:
    """The PiAPI webhook of a cancelled task shows the task as failed and refunded."""
    task = world.piapi()
    world.clients["piapi"].delete(f"/api/v1/task/{task}").raise_for_status()
    (found,) = world.receiver.bodies

    assert found["data"]["status"] == "failed"
    assert found["data"]["meta"]["usage"]["consume"] == 0


def test_the_receiver_may_poll(start: Start) -> None:
    """A receiver that polls in its handler gets the same result as in the webhook."""
    seen: list[str] = []

    async def ask(request: httpx.Request) -> httpx.Response:
        async with httpx.AsyncClient(
            transport=world.sim.transport(),
            base_url=world.sim.base_url("wavespeed"),
            headers={"Authorization": "Bearer mine"},
        ) as http:
            task = request.headers["webhook-id"]
            answer = await http.get(f"/api/v3/predictions/{task}/result")
            seen.append(answer.json()["data"]["status"])
        return httpx.Response(200)

    world = start(ask)
    world.wavespeed()
    world.sim.advance(LONG)

    assert seen == ["completed"]
    assert world.only.outcome == "delivered"


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (hang, None, "no answer within 0.05 s"),
        (reset, None, "ReadError: the connection was reset"),
        (garbage, None, "RemoteProtocolError: illegal status line: \x00\xff"),
        (fail, None, "RuntimeError: a bug of the test"),
        (redirect, 307, ""),
        (500, 500, ""),
    ],
)
def test_hostile_receivers_are_tried_again(
    start: Start, answer: Answer, status: int | None, error: str
) -> None:
    """Any receiver behaviour other than a 2xx is logged, and the next attempt follows."""
    world = start(answer)
    world.wavespeed()
    world.sim.advance(LONG)
    first, second = world.only.attempts

    assert (status, error) == (first.status, first.error)
    assert second.status == 200


def test_redirects_are_not_followed(start: Start) -> None:
    """If a receiver responds with a redirect, the webhook is not sent to its target."""
    world = start(redirect)
    world.wavespeed()
    world.sim.advance(LONG)

    assert {HOOK} == {str(request.url) for request in world.receiver.requests}


def test_an_endless_response_is_cut(start: Start) -> None:
    """Only the beginning of an endless receiver response is read and stored."""
    world = start(huge)
    world.wavespeed()
    world.sim.advance(LONG)
    (attempt,) = world.only.attempts

    assert (attempt.status, len(attempt.answer)) == (200, 4096)


def test_a_poll_that_ends_a_task_also_delivers(start: Start) -> None:
    """On an `auto` clock, a poll that moves the clock to the end also triggers the webhook."""
    world = start(clock="auto")
    task = world.wavespeed()
    while world.status(task) != "completed":
        pass

    assert len(world.receiver.requests) == 1


def test_idle_means_no_pending_delivery(start: Start) -> None:
    """An advance with `to: idle` runs until the last webhook attempt, and lists what fired."""
    world = start(*[500] * 9)
    world.wavespeed()
    fired = world.call("POST", "clock/advance", {"to": "idle"})["fired"]
    told = [(f["attempt"], f["status"]) for f in fired if f["kind"] == "deliver"]

    assert [(1, 500), (2, 500), (3, 500), (4, 500)] == told
    assert world.sim.sandbox.idle


def test_a_deleted_sandbox_sends_no_webhook(start: Start) -> None:
    """A retry that was due after its sandbox was deleted is never sent."""
    world = start(*[500] * 9)
    world.wavespeed()
    world.call("POST", "clock/advance", {"seconds": 3600})
    sent = len(world.receiver.requests)
    world.wavespeed()
    world.admin.delete("/__sim/sandboxes/default")
    world.sim.advance(LONG)

    assert len(world.receiver.requests) == sent


@pytest.mark.parametrize("what", ["all", "jobs"])
def test_a_reset_sandbox_sends_no_old_webhook(start: Start, what: str) -> None:
    """A reset of the sandbox cancels its pending webhook retries."""
    world = start(*[500] * 9)
    task = world.wavespeed()
    world.call("PUT", f"jobs/{task}/state", {"state": "failed"})
    world.call("POST", f"reset?what={what}")
    world.sim.advance(LONG)

    assert len(world.receiver.requests) == 1


def test_a_receiver_may_delete_its_sandbox(start: Start) -> None:
    """If a receiver deletes the sandbox in its handler, the running delivery ends."""

    async def empty(_request: httpx.Request) -> httpx.Response:
        async with httpx.AsyncClient(
            transport=world.sim.transport(), base_url="http://localhost"
        ) as h:
            await h.delete("/__sim/sandboxes/default")
        return httpx.Response(500)

    world = start(empty)
    world.wavespeed()
    world.sim.advance(LONG)

    assert len(world.receiver.requests) == 1
    assert world.deliveries == []


@pytest.mark.parametrize("clock", ["manual", "auto"])
def test_the_same_calls_give_the_same_deliveries(start: Start, clock: str) -> None:
    """With virtual timestamps, two equal runs have the same events, except for the key."""

    def run() -> list[object]:
        world = start(500, hang, 200, clock=clock, webhook_timestamp="virtual")
        world.wavespeed()
        world.piapi()
        world.call("POST", "clock/advance", {"to": "idle"})
        events = world.sim.sandbox.events()
        return [replace(e, owner="") if isinstance(e, AccountOpened) else e for e in events]

    assert run() == run()


def test_forgotten_jobs_drop_their_deliveries(world: World) -> None:
    """When the retention of a job ends, its deliveries are removed too."""
    world.wavespeed()
    world.sim.advance(8 * 86_400)

    assert world.deliveries == []


@pytest.mark.parametrize("provider", ["venice", "vicsee"])
def test_providers_without_webhooks_send_none(world: World, provider: str) -> None:
    """A provider without documented webhooks has no webhook rule and sends no webhook."""
    baseline = world.sim.registry.library.baseline(provider).baseline

    assert baseline.webhooks is None
    assert world.sim.registry.providers[provider].notice is None


def test_a_scenario_changes_the_webhook_rule(start: Start, tmp_path: Path) -> None:
    """A scenario can override any part of a provider's webhook rule."""
    scenario = tmp_path / "patient.yaml"
    scenario.write_text(
        "extends: wavespeed/baseline\n"
        'webhooks: {attempts: {value: 2}, pauses: {value: ["3600"]}, states: {value: [failed]}}\n',
        "utf-8",
    )
    world = start(500, 500, scenario=str(scenario))
    world.wavespeed()
    world.sim.advance(LONG)
    task = world.wavespeed()
    world.call("PUT", f"jobs/{task}/state", {"state": "failed"})
    world.sim.advance(LONG)
    first, second = world.receiver.seconds

    assert second - first == 3600
    assert [task, task] == [body["id"] for body in world.receiver.bodies]
