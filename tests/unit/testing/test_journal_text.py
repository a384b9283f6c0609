"""The journal of a failed test says of each exchange what the log of a server says of it."""

from __future__ import annotations

from typing import Any, cast

from upsim import Simulator
from upsim.cli.request_log import job_of, line_of
from upsim.testing.journal_text import journal_text
from upsim.testing.sandboxes import SandboxHandle
from upsim.testing.simulator_targets import SimulatorTarget

SUBMIT = "/api/v1/tools/upscale-video"


def test_journal_shows_the_hints_of_the_log() -> None:
    """Journal and log both show causes, near paths, unread names, unused faults and hints."""
    log: list[str] = []
    with Simulator(clock="manual") as sim:
        target = SimulatorTarget("http://127.0.0.1:4747", "", cast("Any", sim.transport()))
        with SandboxHandle(target) as box:
            sim.app.dispatch.observers.append(
                lambda sandbox, one: log.append(line_of(sandbox, one, job_of(sandbox, one), day=""))
            )
            vicsee, body = box.http("vicsee"), {"video_url": box.clip()}
            vicsee.post(SUBMIT, json={**body, "upscale_factor": 2})
            sent = vicsee.post(f"{SUBMIT}?webhok=x", json={**body, "upscale_facto": "4"}).json()
            vicsee.post("/api/v1/tools/upscale-vide", json=body)
            box.http("venice").post("/video/queue", json={})
            box.set_balance("vicsee", 0)
            vicsee.post(SUBMIT, json=body)
            box.clock.advance(to="idle")
            odd = {"patch": {"data.staus": "odd"}}
            box.arm({"at": "poll", "on": "*", "provider": "vicsee", "do": odd})
            for _ in range(4):
                vicsee.get(f"/api/v1/tasks/{sent['data']['id']}")
            told = journal_text(box)
    expected = [
        'why: known_factor: upscale_factor: found the number 2, expected the text "2"',
        (
            "why: upscale_facto is not read; did you mean upscale_factor?; "
            "webhok in the query is not read"
        ),
        (
            'why: path: found "/api/v1/tools/upscale-vide", where nothing is served; '
            f"did you mean {SUBMIT}?"
        ),
        (
            'why: path: found "/video/queue", where nothing is served; '
            "did you mean /api/v1/video/queue?"
        ),
        "why: affordable: balance: found 0 credits, expected at least 64 credits",
        *["fault f1 did not fire: this answer has no data.staus; did you mean data.status?"] * 4,
        "hint: this finished job was polled 4 times",
    ]
    marks = ("why: ", "hint: ", "fault f1 did not")
    shown = [line.strip() for line in told.splitlines() if line.strip().startswith(marks)]

    assert expected == [s.partition("; a client")[0] if "hint: " in s else s for s in shown]
    missing = [s for s in shown if s.removeprefix("why: ") not in "".join(log)]
    assert [] == missing
