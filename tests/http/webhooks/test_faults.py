"""Each way in which a webhook can go wrong on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.http.webhooks.conftest import is_signed
from upsim.cli.request_log import webhook_line
from upsim.core.instants import SECOND, iso
from upsim.core.webhooks import Delivery, WebhookFault

if TYPE_CHECKING:
    from tests.http.webhooks.conftest import Start, World

LONG = 10_000


def arm(world: World, *faults: WebhookFault | None) -> None:
    """Let the first attempts that are asked about go wrong in these ways."""
    left = list(faults)

    def next_fault(_delivery: Delivery, _number: int) -> WebhookFault | None:
        return left.pop(0) if left else None

    world.sim.sandbox.webhooks.fault = next_fault


def test_a_lost_webhook_never_comes(world: World) -> None:
    """A webhook with the fault `lost` never arrives, and no retry follows."""
    arm(world, WebhookFault("lose"))
    world.wavespeed()
    world.sim.advance(LONG)

    assert world.receiver.requests == []
    assert [("lose", True)] == [(a.fault, a.unsent) for a in world.only.attempts]
    assert world.only.outcome == "lost"


def test_a_duplicate_comes_twice(world: World) -> None:
    """A duplicated webhook arrives twice, and both requests are logged."""
    arm(world, WebhookFault("duplicate"))
    world.wavespeed()
    world.sim.advance(LONG)
    first, second = world.receiver.requests

    assert (first.content, first.headers) == (second.content, second.headers)
    assert [(1, 200), (0, 200)] == [(a.number, a.status) for a in world.only.attempts]


def test_a_late_webhook_comes_late(world: World) -> None:
    """A delayed webhook arrives once, after the configured delay."""
    arm(world, WebhookFault("late", after=90 * SECOND))
    world.wavespeed()
    world.sim.advance(LONG)
    (second,) = world.receiver.seconds

    assert second - (world.only.created.at / SECOND - 1_767_225_600) == 90


def test_reordered_webhooks_change_places(world: World) -> None:
    """A reordered webhook is sent only after the next webhook was sent."""
    arm(world, WebhookFault("reorder", after=3600 * SECOND))
    first = world.wavespeed()
    world.sim.advance(1)
    second = world.wavespeed()
    world.sim.advance(1000)

    assert [second, first] == [body["id"] for body in world.receiver.bodies]


def test_a_reordered_webhook_comes_in_the_end(world: World) -> None:
    """If no other webhook follows, a reordered webhook is sent after its maximum wait."""
    arm(world, WebhookFault("reorder", after=30 * SECOND))
    world.wavespeed()
    world.sim.advance(LONG)

    assert len(world.receiver.requests) == 1
    assert world.only.outcome == "delivered"


@pytest.mark.parametrize("after", [5 * SECOND, LONG * SECOND])
def test_an_early_webhook_is_ahead_of_the_poll(world: World, after: int) -> None:
    """An early webhook reports the end while a poll still shows the task in progress.

    It is not sent a second time.
    """
    world.sim.sandbox.webhooks.early = lambda _job, _state: WebhookFault("early", after=after)
    task = world.wavespeed()
    while not world.receiver.requests:
        world.sim.advance(1)

    assert world.receiver.bodies[0]["status"] == "completed"
    assert world.status(task) == "processing"
    world.sim.advance(LONG)
    assert (world.status(task), len(world.receiver.requests)) == ("completed", 1)


def test_a_webhook_with_a_bad_signature(world: World) -> None:
    """A bad signature has the right format but is made with another secret."""
    arm(world, WebhookFault("bad_signature"))
    world.wavespeed()
    world.sim.advance(LONG)
    (request,) = world.receiver.requests

    assert not is_signed(request, world.secret)
    assert len(request.headers["webhook-signature"]) == len("v3,") + 64


def test_a_bad_shared_secret_is_another(world: World) -> None:
    """If the provider sends a shared secret, the fault sends another secret instead."""
    arm(world, WebhookFault("bad_signature"))
    world.piapi(secret="s3cret")
    world.sim.advance(LONG)

    assert world.receiver.requests[0].headers["x-webhook-secret"] not in ("", "s3cret")


def test_a_stale_signature_is_right_and_old(start: Start) -> None:
    """A stale signature is valid, but for a timestamp that receivers no longer accept."""
    world = start(webhook_timestamp="virtual")
    arm(world, WebhookFault("stale_signature", after=301 * SECOND))
    world.wavespeed()
    world.sim.advance(LONG)
    (request,) = world.receiver.requests

    assert is_signed(request, world.secret)
    assert world.only.created.stamp - int(request.headers["webhook-timestamp"]) == 301


def test_a_faked_response_causes_retries(world: World) -> None:
    """The provider gets two faked 500 responses; only the third attempt reaches the receiver."""
    arm(world, WebhookFault("respond", status=500), WebhookFault("respond", status=500))
    world.wavespeed()
    world.sim.advance(LONG)

    assert [500, 500, 200] == [attempt.status for attempt in world.only.attempts]
    assert len(world.receiver.requests) == 1


def test_a_fault_ends_with_its_attempt(start: Start) -> None:
    """The retry after an attempt with a bad signature has a good signature."""
    world = start(401)
    arm(world, WebhookFault("bad_signature"))
    world.wavespeed()
    world.sim.advance(LONG)
    first, second = world.receiver.requests

    assert (False, True) == (is_signed(first, world.secret), is_signed(second, world.secret))


@pytest.mark.parametrize(
    ("do", "outcome", "arrived"),
    [
        ("lose", "lost", 0),
        ("duplicate", "delivered", 2),
        ("reorder", "delivered", 1),
        ("bad_signature", "delivered", 1),
        ("stale_signature", "delivered", 1),
        ({"late": "90s"}, "delivered", 1),
        ({"respond": 500}, "delivered", 1),
    ],
)
def test_a_fault_armed_by_the_admin_api_fires(
    world: World, do: object, outcome: str, arrived: int
) -> None:
    """A webhook fault armed by the admin API changes the first attempt, once."""
    fault = {"id": "f1", "provider": "wavespeed", "at": "webhook", "first": 1, "do": do}
    world.call("POST", "faults", fault)
    world.wavespeed()
    world.sim.advance(LONG)
    kind = do if isinstance(do, str) else next(iter(do))  # type: ignore[call-overload]

    assert (outcome, arrived) == (world.only.outcome, len(world.receiver.requests))
    assert world.sim.sandbox.state.faults["f1"].fired == 1
    if kind not in ("late", "reorder"):  # those only change its time
        assert kind in [attempt.fault for attempt in world.only.attempts]


def test_an_early_fault_armed_by_the_admin_api_fires(world: World) -> None:
    """An early fault armed by the admin API fires exactly once, and the webhook comes early."""
    fault = {"id": "f1", "provider": "wavespeed", "at": "webhook", "first": 1, "do": "early"}
    world.call("POST", "faults", fault)
    task = world.wavespeed()
    while not world.receiver.requests:
        world.sim.advance(0.25)

    assert world.receiver.bodies[0]["status"] == "completed"
    assert world.status(task) == "processing"
    world.sim.advance(LONG)
    armed = world.sim.sandbox.state.faults["f1"]
    assert (1, 1, 1) == (len(world.receiver.requests), armed.matched, armed.fired)


@pytest.mark.parametrize(
    ("fault", "next_at", "line"),
    [
        (WebhookFault("late", after=600 * SECOND), 600, "held until {} fault: late\n"),
        (WebhookFault("reorder", after=90 * SECOND), 90, "held until {} or another webhook fault"),
        (WebhookFault("lose"), None, "not sent, and there is no retry fault: lose\n"),
        (WebhookFault("respond", status=503), 1, "not sent, as if the answer were 503 fault: res"),
    ],
)
def test_withheld_webhook_is_reported_with_its_next_time(
    world: World, fault: WebhookFault, next_at: int | None, line: str
) -> None:
    """The admin API shows when a withheld webhook will be sent, and the log has a line for it."""
    lines: list[str] = []
    world.sim.app.deliverer.observers.append(
        lambda box, posting, outcome: lines.append(webhook_line(box, posting, outcome, day=""))
    )
    arm(world, fault)
    world.wavespeed()
    while not world.sim.sandbox.state.deliveries:
        world.sim.advance(1)
    (shown,) = world.admin.get("/__sim/sandboxes/default/webhooks").json()["deliveries"]

    created = world.only.created.at
    expected = None if next_at is None else iso(created + next_at * SECOND, 6)
    assert shown["next_at"] == expected
    until = iso(created + (next_at or 0) * SECOND)
    assert line.format(until) in lines[0]
