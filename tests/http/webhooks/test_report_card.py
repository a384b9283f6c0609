"""What the report card says of receivers: do they check signatures, what were they told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.http.webhooks.conftest import Start, World

LONG = 10_000
INBOX = "http://127.0.0.1:4747/__sim/sandboxes/default/inbox/main"
each_fault = pytest.mark.parametrize("fault", ["bad_signature", "stale_signature"])


def named(world: World, name: str) -> list[dict[str, Any]]:
    """Return the findings of this name."""
    found: list[dict[str, Any]] = world.call("GET", "report-card")["findings"]
    return [finding for finding in found if finding["name"] == name]


def arm(world: World, fault: str) -> None:
    """Let every webhook of WaveSpeed be signed so."""
    world.call("POST", "faults", {"provider": "wavespeed", "at": "webhook", "do": fault})


@each_fault
def test_a_receiver_that_accepts_a_bad_signature_is_reported(world: World, fault: str) -> None:
    """A 2xx to a webhook with a bad signature gives a finding with job, delivery and fault."""
    arm(world, fault)
    job = world.wavespeed()
    world.sim.advance(LONG)

    (found,) = named(world, "signature_unchecked")
    assert ("error", job, fault, 200) == (
        found["severity"],
        found["job"],
        found["numbers"]["fault"],
        found["numbers"]["answered"],
    )
    assert world.only.id == found["numbers"]["delivery"]


@each_fault
def test_a_receiver_that_refuses_a_bad_signature_is_clean(start: Start, fault: str) -> None:
    """A receiver that responds 401 to each badly signed attempt gets no finding."""
    world = start(401, 401, 401, 401)
    arm(world, fault)
    world.wavespeed()
    world.sim.advance(LONG)

    card = world.call("GET", "report-card")
    assert [] == named(world, "signature_unchecked")
    assert [] == card["not_judged"]


def test_the_inbox_is_not_judged(world: World) -> None:
    """The built-in inbox accepts every webhook, and the report card ignores it."""
    arm(world, "bad_signature")
    world.wavespeed(INBOX)
    world.sim.advance(LONG)

    assert [] == named(world, "signature_unchecked")
    assert "inbox" in world.call("GET", "report-card")["not_judged"][0]


@pytest.mark.parametrize(("status", "findings"), [(200, 0), (500, 1)])
def test_a_webhook_counts_as_reading_the_failure(start: Start, status: int, findings: int) -> None:
    """A failed job counts as read if the receiver accepted its webhook, otherwise not."""
    world = start(*[status] * 4)
    job = world.wavespeed()
    world.call("PUT", f"jobs/{job}/state", {"state": "failed"})
    world.sim.advance(LONG)

    assert findings == len(named(world, "failure_never_read"))
