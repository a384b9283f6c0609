"""When the faults of a recorded request match, and that a replay matches them at the same place."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.types import ASGIApp, Message, Scope

from tests.http.replay.conftest import ASSUMED, VICSEE, Start, replayed, same
from upsim.web.whole_responses import HttpResponse


def test_a_request_between_a_decision_and_its_fault_is_replayed_there(start: Start) -> None:
    """A fault matches the job as it is when its task starts, in a recording and in its replay."""
    run = start()
    job = run.call("POST", VICSEE, "sk-a", json={"video_url": ASSUMED}).json()["data"]["id"]
    fault = {"provider": "vicsee", "at": "poll", "state": "processing", "do": {"respond": 503}}
    run.admin("POST", "faults", fault)
    run.admin("PUT", f"jobs/{job}/state", {"state": "processing"})
    poll = run.http.build_request("GET", f"/vicsee/api/v1/tasks/{job}", headers={"x-api-key": ""})
    poll.headers["authorization"] = "Bearer sk-a"
    scope = scope_of(poll)
    waiting = run.sim.app.fast_path(scope, b"")

    assert not isinstance(waiting, HttpResponse)

    run.admin("PUT", f"jobs/{job}/state", {"state": "completed"})
    assert 200 == asyncio.run(status_of(waiting, scope))
    same(run.replayed(), 5)


def test_an_export_of_a_version_with_more_waits_is_replayed(start: Start) -> None:
    """An older version recorded a wait of each request with an armed fault; it is skipped."""
    run = start()
    run.admin("POST", "faults", {"provider": "vicsee", "at": "download", "do": {"delay": "1s"}})
    run.call("POST", VICSEE, "sk-a", json={"video_url": ASSUMED})
    found = run.export()
    number, at = found["commands"][-1]["n"], found["commands"][-1]["at"]
    wait = {"of": number, "point": "sent", "index": 0}
    found["commands"].append({"n": number + 1, "at": at, "resumed": wait})

    same(replayed(found), 2)


@pytest.mark.parametrize("earlier", [True, False])
def test_a_patch_of_an_unknown_field_is_replayed(
    start: Start, monkeypatch: pytest.MonkeyPatch, *, earlier: bool
) -> None:
    """A replay arms the patch if an earlier version armed it, and refuses it if it was refused."""
    run = start()
    fault = {"provider": "vicsee", "at": "poll", "do": {"patch": {"data.statu": "x"}}}
    with monkeypatch.context() as patch:
        if earlier:
            patch.setattr("upsim.web.admin.faults.answered_fields", lambda *_: {})
        armed = run.call("POST", "/__sim/sandboxes/default/faults", json=fault)
    following = run.admin("POST", "faults", {**fault, "do": {"respond": 503}})

    assert ((201, "f2") if earlier else (400, "f1")) == (armed.status_code, following["id"])
    same(run.replayed(), 2)


async def status_of(app: ASGIApp, scope: Scope) -> int:
    """Return the status with which an application responds to a request without a body."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return int(sent[0]["status"])


def scope_of(request: httpx.Request) -> Scope:
    """Return the scope of a request as the server gives it to the application."""
    path = request.url.path
    return {
        "type": "http",
        "method": request.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "http_version": "1.1",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": ("127.0.0.1", 4747),
        "client": ("127.0.0.1", 1),
    }
