"""Sandboxes that end while requests are under way, and names that are used again."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.stateful.asgi_client import Request, exchange
from tests.uploads import put_file
from upsim.core.events import ClockMoved
from upsim.core.states import JobState
from upsim.engine.sandbox_request import SandboxRequest

if TYPE_CHECKING:
    from tests.http.engine.conftest import MakeWorld, World

BODY = json.dumps({"video_url": "https://example.com/clip.mp4"}).encode()


async def slow_submit(world: World, between: str) -> int:
    """Submit to VicSee, empty the sandbox while the body is on its way, and return the status."""
    parts = [BODY[:10], BODY[10:]]
    started: list[dict[str, Any]] = []
    auth = world.clients["vicsee"].headers["authorization"].encode()
    headers = [(b"host", b"upsim.test"), (b"authorization", auth)]

    async def receive() -> dict[str, Any]:
        part = parts.pop(0)
        if not parts:
            getattr(world.sim.registry, between)(world.sandbox.id)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        started.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/vicsee/api/v1/tools/upscale-video",
        "query_string": b"",
        "headers": headers,
    }
    await world.sim.app(scope, receive, send)  # type: ignore[arg-type]  # narrower messages
    status: int = started[0]["status"]
    return status


@pytest.mark.parametrize("between", ["reset", "delete"])
def test_a_request_survives_a_reset_or_deletion_of_its_sandbox(manual: World, between: str) -> None:
    """A request that is still sending its body during a reset or a deletion gets a 200."""
    assert asyncio.run(slow_submit(manual, between)) == 200


def test_a_request_from_before_a_reset_leaves_nothing_in_the_sandbox(manual: World) -> None:
    """A request that began before a reset adds no job and no ledger entry to the reset sandbox."""
    asyncio.run(slow_submit(manual, "reset"))
    fresh = manual.sim.registry.sandboxes[manual.sandbox.id]
    kinds = [type(event) for event in fresh.events()]
    assert (fresh.state.jobs, fresh.state.entry_count, kinds) == ({}, 0, [ClockMoved])


def test_a_reset_sandbox_accepts_jobs_after_an_old_request(manual: World) -> None:
    """After a request from before the reset has ended, the reset sandbox accepts a new job."""
    asyncio.run(slow_submit(manual, "reset"))
    manual.submit("vicsee")
    fresh = manual.sim.registry.sandboxes[manual.sandbox.id]
    assert len(fresh.state.jobs) == 1


def test_a_stale_sandbox_object_does_not_receive_new_jobs(manual: World) -> None:
    """After a reset, a reference to the old sandbox object does not lead new jobs to it."""
    old = manual.sandbox
    fresh = manual.sim.registry.reset(old.id)
    old.view("vicsee", None)
    manual.submit("vicsee")
    assert (len(old.state.jobs), len(fresh.state.jobs)) == (0, 1)


def test_the_measurement_of_an_upload_ends_with_its_sandbox(make_world: MakeWorld) -> None:
    """After a reset with the same seed, a new upload with an old name is measured again."""
    world = make_world()
    lengths = []
    for seconds in (1, 2):
        clip = world.clients["vicsee"].get(
            f"http://upsim.test/media/synthetic/64x64_10fps_{seconds}s.mp4"
        )
        order = {"contentType": "video/mp4", "sizeBytes": len(clip.content)}
        ticket = world.clients["vicsee"].post("/api/v1/upload", json=order).json()["data"]
        put_file(world.clients["vicsee"], ticket["uploadUrl"], clip.content)
        answer = world.submit("vicsee", video_url=ticket["publicUrl"])
        lengths.append(answer.json()["data"]["input"]["detected_duration"])
        world.sim.registry.reset(world.sandbox.id)
    assert lengths == ["1s", "2s"]


def test_a_new_sandbox_skips_a_name_that_is_in_use(manual: World) -> None:
    """A sandbox without an id gets the next free one: after `sb3` is in use, `sb2` and `sb4`."""
    registry = manual.sim.registry
    registry.create(SandboxRequest(id="sb3"))
    names = [registry.create(SandboxRequest())[0].id for _ in range(3)]
    assert names == ["sb2", "sb4", "sb5"]


def test_requests_with_its_keys_keep_a_sandbox_alive(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request with a key of a sandbox restarts the sandbox's time to live."""
    now = [1000.0]
    monkeypatch.setattr("upsim.engine.registry.monotonic", lambda: now[0])
    world = make_world(ttl=60)
    for _ in range(3):
        now[0] += 50
        world.submit("vicsee")
        world.sim.registry.remove_idle()
    assert world.sandbox.id in world.sim.registry.sandboxes


def test_an_unused_sandbox_is_removed_after_its_ttl(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sandbox without any request is removed after its time to live."""
    now = [1000.0]
    monkeypatch.setattr("upsim.engine.registry.monotonic", lambda: now[0])
    world = make_world(ttl=60)
    now[0] += 61
    world.sim.registry.remove_idle()
    assert world.sandbox.id not in world.sim.registry.sandboxes


def test_a_forgotten_job_is_refunded_first(make_world: MakeWorld, tmp_path: Any) -> None:  # noqa: ANN401
    """If a failed job is forgotten before its delayed refund, the refund is paid immediately."""
    file = tmp_path / "late.yaml"
    file.write_text("extends: vicsee/baseline\nrefund: {after: '10800'}\n", "utf-8")
    world = make_world(scenario=str(file))
    job = world.accepted("vicsee")
    world.sandbox.jobs.move(world.job(job), JobState.FAILED)
    before = world.account("vicsee").balance
    world.sandbox.retention.forget_all_jobs()
    assert [before, world.account("vicsee").balance] == [Decimal(99_999_856), Decimal(100_000_000)]


def test_a_delayed_refund_is_paid_once_at_its_time(make_world: MakeWorld, tmp_path: Any) -> None:  # noqa: ANN401
    """A refund with a delay of three hours is paid once, three hours after the failure."""
    file = tmp_path / "late.yaml"
    file.write_text("extends: vicsee/baseline\nrefund: {after: '10800'}\n", "utf-8")
    world = make_world(scenario=str(file))
    job = world.accepted("vicsee")
    world.sandbox.jobs.move(world.job(job), JobState.FAILED)
    assert world.advance(10_799) == []
    assert world.advance(86_400) == [("refund", job)]
    assert world.account("vicsee").balance == 100_000_000


def test_an_unknown_sandbox_in_the_path_is_not_found(manual: World) -> None:
    """A request to `/sandbox/<id>/` with an unknown id gets a 404 and creates no sandbox."""
    request = Request("GET", "/sandbox/nobody/vicsee/api/v1/credits")
    assert asyncio.run(exchange(manual.sim.app, request, {})).status == 404
