"""Sessions of every kind are exported and replayed, and every answer is the same again."""

from __future__ import annotations

import asyncio
import base64
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.conftest import SAMPLES, Sample
from tests.http.replay.conftest import (
    ASSUMED,
    CLIP,
    LOCAL,
    VICSEE,
    WAVESPEED,
    Recorded,
    Start,
    replayed,
    same,
)
from tests.uploads import put_file
from upsim import Simulator

CLOCKS = ["manual", "auto", "real", "scaled:50"]
each_clock = pytest.mark.parametrize("clock", CLOCKS)


def sample_session(run: Recorded, sample: Sample, key: str, dialect: str = "") -> None:
    """Submit, be refused, poll, download."""
    prefix = f"/{sample.provider}{dialect}"
    auth = run.sim.registry.library.baseline(sample.provider).baseline.auth
    headers = {auth.header: f"{auth.scheme} {key}".strip()}
    http = httpx.Client(transport=run.sim.transport(), base_url=f"{LOCAL}{prefix}", headers=headers)
    job = sample.job(http, CLIP)
    sample.submit(http, "")
    for _ in range(4):
        sample.status(http, job)
    run.call("GET", f"/media/outputs/{job}.mp4", headers={"range": "bytes=0-99"})


@each_clock
@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_a_session_of_each_model_replays_under_each_clock(
    start: Start, sample: Sample, clock: str
) -> None:
    """Submits, polls, refusals and downloads of each model replay under each clock."""
    run = start(clock=clock)
    sample_session(run, sample, "sk-first")
    if clock == "manual":
        run.admin("POST", "clock/advance", {"seconds": 200})
    sample_session(run, sample, "sk-second")
    sample_session(run, sample, "sk-first", "/live" if sample.provider == "venice" else "")

    same(run.replayed(), 15)


@each_clock
def test_held_requests_replay(start: Start, clock: str) -> None:
    """A held submit to WaveSpeed replays with the same response at the same time."""
    run = start(clock=clock, scenario=None)
    body = {"video": ASSUMED, "enable_sync_mode": True}
    if clock in ("auto", "scaled:50"):
        answer = run.call("POST", WAVESPEED, "k", json=body)
        assert answer.json()["data"]["status"] == "completed"
    run.call("POST", WAVESPEED, "k", json={"video": ASSUMED})
    run.call("GET", "/wavespeed/api/v3/balance", "k")

    same(run.replayed(), 2)


def test_admin_requests_replay(start: Start) -> None:
    """Changes of accounts, keys and job states through the admin API replay, refused ones too."""
    run = start()
    made = run.http.post("/__sim/sandboxes", json={"id": "box", "clock": "manual"}).json()
    other = run.admin("POST", "accounts/vicsee/keys", {"account": "other"}, "box")["key"]
    brought = {"account": "third", "key": "sk-brought-by-somebody"}
    run.admin("POST", "accounts/vicsee/keys", brought, "box")
    key = made["keys"]["vicsee"]
    job = run.call("POST", VICSEE, key, json={"video_url": ASSUMED}).json()["data"]["id"]
    run.call("POST", VICSEE, other, json={"video_url": ASSUMED})
    run.call("POST", VICSEE, "sk-brought-by-somebody", json={"video_url": ASSUMED})
    run.call("POST", f"/sandbox/box{VICSEE}", "sk-nobody", json={"video_url": ASSUMED})
    run.call("POST", f"/sandbox/box{VICSEE}", "of-no-form", json={"video_url": ASSUMED})
    run.call("POST", f"/sandbox/box{VICSEE}", json={"video_url": ASSUMED})
    run.admin("PUT", f"jobs/{job}/state", {"state": "processing"}, "box")
    illegal = run.http.put(f"/__sim/sandboxes/box/jobs/{job}/state", json={"state": "waiting"})
    run.admin("PUT", f"jobs/{job}/state", {"state": "failed"}, "box")
    run.admin("PUT", "accounts/vicsee", {"balance": "7", "plan": "free"}, "box")
    run.call("GET", f"/vicsee/api/v1/tasks/{job}", key)
    run.call("POST", VICSEE, key, json={"video_url": ASSUMED})
    run.admin("POST", "reset?what=ledger", None, "box")
    run.call("GET", "/vicsee/api/v1/credits", key)
    report = run.replayed("box")

    assert illegal.status_code == 409
    same(report, 16)


def test_changes_of_the_clock_replay(start: Start) -> None:
    """Changes of the clock's mode and pace replay, and so does a refused change to a real clock."""
    run = start(clock="manual", start=4_000_000_000 * 1_000_000)
    run.call("POST", VICSEE, "k", json={"video_url": ASSUMED})
    ahead = run.http.patch("/__sim/sandboxes/default/clock", json={"mode": "real"})
    run.admin("PATCH", "clock", {"mode": "scaled:10", "pace": 2})
    run.call("GET", "/vicsee/api/v1/credits", "k")
    run.admin("PATCH", "clock", {"mode": "auto"})
    run.admin("POST", "clock/advance", {"to": "idle"})
    run.call("GET", "/vicsee/api/v1/credits", "k")

    assert ahead.status_code == 409
    same(run.replayed(), 6)


def test_a_change_to_a_real_clock_replays(start: Start) -> None:
    """A session in which a `manual` clock becomes real, with a new pace, replays."""
    run = start(clock="manual")
    run.call("POST", VICSEE, "k", json={"video_url": ASSUMED})
    run.admin("PATCH", "clock", {"mode": "real", "pace": 30})
    run.call("POST", VICSEE, "k", json={"video_url": ASSUMED})

    same(run.replayed(), 3)


def test_uploads_replay(start: Start) -> None:
    """Uploads by ticket and by multipart, a refused second PUT, and their jobs replay."""
    run = start()
    clip = run.http.get(CLIP).content
    ticket = {"contentType": "video/mp4", "sizeBytes": len(clip)}
    url = run.call("POST", "/vicsee/api/v1/upload", "k", json=ticket).json()["data"]
    target = url["uploadUrl"]
    assert put_file(run.http, target, clip).status_code == 200
    assert put_file(run.http, target, clip).status_code == 412
    run.call("POST", VICSEE, "k", json={"video_url": url["publicUrl"]})
    files = {"file": ("clip.mp4", clip, "video/mp4")}
    sent = run.call("POST", "/wavespeed/api/v3/media/upload/binary", "k", files=files)
    run.call("POST", WAVESPEED, "k", json={"video": sent.json()["data"]["download_url"]})
    run.http.get(url["publicUrl"])

    same(run.replayed(), 7)


def test_data_urls_replay(start: Start) -> None:
    """A job with a data URL replays: the server measures the video again."""
    run = start()
    clip = base64.b64encode(run.http.get(CLIP).content).decode()
    body = {"model": "topaz-video-upscale", "video_url": f"data:video/mp4;base64,{clip}"}
    assert run.call("POST", "/venice/api/v1/video/queue", "k", json=body).status_code == 200

    same(run.replayed(), 1)


def test_local_files_replay_without_the_files(start: Start, tmp_path: Path) -> None:
    """A session with a local video and scenario file replays after both files are deleted."""
    clip, scenario = tmp_path / "clip.mp4", tmp_path / "mine.yaml"
    clip.write_bytes(start().http.get(CLIP).content)
    scenario.write_text(
        "extends: vicsee/baseline\nsummary: A file stands for a URL.\n"
        'media: [{url: "https://clips.example/*", file: clip.mp4}]\n'
        "accounts: {vicsee: {balance: 40}}\n"
    )
    run = start(scenario=str(scenario))
    answer = run.call("POST", VICSEE, "k", json={"video_url": ASSUMED}).json()
    run.call("POST", VICSEE, "k", json={"video_url": ASSUMED})
    found = run.export()
    clip.unlink()
    scenario.unlink()

    assert answer["data"]["input"]["detected_duration"] == "2s"
    same(replayed(found), 2)


def test_faults_replay(start: Start) -> None:
    """Dropped, reset, cut, delayed and slow responses replay, for API requests and downloads."""
    run = start(clock="auto")
    actions: list[tuple[str, object]] = [
        ("after_accept", "drop_connection"),
        ("before_accept", "reset_connection"),
        ("before_accept", {"delay": "90s"}),
        ("mid_body", {"truncate": "50%"}),
        ("poll", {"delay": {"real": "1ms"}}),
        ("mid_body", {"trickle": {"chunk": 30, "pause": "2s"}}),
        ("poll", {"respond": {"status": 502, "body": "<b>bad</b>"}}),
        ("download", {"truncate": 100}),
    ]
    job = run.call("POST", VICSEE, "k", json={"video_url": CLIP}).json()["data"]["id"]
    for at, do in actions:
        fault = {"at": at, "do": do, "first": 1, "provider": "vicsee", "probability": "0.9"}
        run.admin("POST", "faults", fault)
    for _ in range(6):
        patient(run, "POST", VICSEE, {"video_url": CLIP})
        patient(run, "GET", f"/vicsee/api/v1/tasks/{job}")
        patient(run, "GET", f"/media/outputs/{job}.mp4")
    run.admin("DELETE", "faults")

    same(run.replayed(), 28)


def patient(run: Recorded, method: str, path: str, body: object = None) -> None:
    """Make a call that may be cut."""
    try:
        run.call(method, path, "k", json=body)
    except httpx.TransportError:
        return


@each_clock
def test_webhooks(start: Start, clock: str) -> None:
    """Accepted, refused, unanswered and resent webhooks replay."""
    run = start(clock=clock)
    box = f"{LOCAL}/__sim/sandboxes/default/inbox"
    for hook in (f"{box}/good", f"{box}/bad?status=500", "http://127.0.0.1:9/gone"):
        run.call("POST", WAVESPEED, "k", params={"webhook": hook}, json={"video": ASSUMED})
        config = {"webhook_config": {"endpoint": hook, "secret": "never-told"}}
        task = {"model": "Qubico/video-toolkit", "task_type": "upscale", "config": config}
        run.call("POST", "/piapi/api/v1/task", "k", json={**task, "input": {"video": ASSUMED}})
    if clock != "real":
        run.admin("POST", "clock/advance", {"seconds": 300})
        for delivery in run.admin("GET", "webhooks")["deliveries"]:
            run.admin("POST", f"webhooks/{delivery['id']}/resend")
    run.http.post(f"{box}/good", json={"from": "outside"})
    found = run.export()

    assert "never-told" not in str(found)
    same(replayed(found), 7)


def test_a_poll_from_a_webhook_handler_replays() -> None:
    """A receiver's poll during an advance is in the log, and replays in the same order."""
    polls: list[int] = []
    sim: Simulator

    async def take(request: httpx.Request) -> httpx.Response:
        job = request.content.partition(b'"id":"')[2].partition(b'"')[0].decode()
        async with httpx.AsyncClient(transport=sim.transport(), base_url=LOCAL) as http:
            headers = {"authorization": "Bearer k"}
            answer = await http.get(f"/wavespeed/api/v3/predictions/{job}/result", headers=headers)
            polls.append(answer.status_code)
        return httpx.Response(500 if len(polls) < 2 else 200)

    with Simulator(clock="manual", webhook_transport=httpx.MockTransport(take)) as sim:
        run = Recorded(sim, httpx.Client(transport=sim.transport(), base_url=LOCAL))
        hook = {"webhook": "http://receiver.example/"}
        run.call("POST", WAVESPEED, "k", params=hook, json={"video": ASSUMED})
        run.admin("POST", "clock/advance", {"seconds": 300})
        report = run.replayed()

    assert [200, 200] == polls
    same(report, 4)


def test_an_advance_from_a_webhook_handler_replays() -> None:
    """An advance that a receiver starts during another advance replays with the same deadlines."""
    inner: list[int] = []
    sim: Simulator

    async def take(_request: httpx.Request) -> httpx.Response:
        async with httpx.AsyncClient(transport=sim.transport(), base_url=LOCAL) as http:
            path = "/__sim/sandboxes/default/clock/advance"
            answer = await http.post(path, json={"seconds": 7})
            inner.append(len(answer.json()["fired"]))
        return httpx.Response(200)

    with Simulator(clock="manual", webhook_transport=httpx.MockTransport(take)) as sim:
        run = Recorded(sim, httpx.Client(transport=sim.transport(), base_url=LOCAL))
        for number in range(3):
            hook = {"webhook": "http://receiver.example/"}
            run.call("POST", WAVESPEED, "k", params=hook, json={"video": ASSUMED})
            run.admin("POST", "clock/advance", {"seconds": number + 2})
        run.admin("POST", "clock/advance", {"to": "idle"})
        report = run.replayed()

    assert 3 == len(inner)
    same(report, 10)


def test_a_resend_from_the_handler_of_a_duplicate_replays() -> None:
    """The results of a duplicate and of a resent webhook replay in their order."""
    taken: list[str] = []
    sim: Simulator

    async def take(_request: httpx.Request) -> httpx.Response:
        taken.append("webhook")
        if len(taken) == 2:  # the duplicate
            async with httpx.AsyncClient(transport=sim.transport(), base_url=LOCAL) as http:
                (delivery,) = sim.sandbox.state.deliveries
                path = f"/__sim/sandboxes/default/webhooks/{delivery}/resend"
                assert (await http.post(path)).status_code == 200
        return httpx.Response(500 if len(taken) == 3 else 200)

    with Simulator(clock="manual", webhook_transport=httpx.MockTransport(take)) as sim:
        run = Recorded(sim, httpx.Client(transport=sim.transport(), base_url=LOCAL))
        fault = {"provider": "wavespeed", "at": "webhook", "do": "duplicate", "first": 1}
        run.admin("POST", "faults", fault)
        hook = {"webhook": "http://receiver.example/"}
        run.call("POST", WAVESPEED, "k", params=hook, json={"video": ASSUMED})
        run.admin("POST", "clock/advance", {"seconds": 300})
        run.admin("POST", "clock/advance", {"to": "idle"})
        report = run.replayed()

    assert 3 == len(taken)
    same(report, 5)


def test_simultaneous_requests_replay() -> None:
    """Forty simultaneous requests replay in the order in which the server decided them."""
    with Simulator(clock="real", seed=4) as sim:
        asyncio.run(_many(sim))
        run = Recorded(sim, httpx.Client(transport=sim.transport(), base_url=LOCAL))
        report = run.replayed()

    same(report, 40)


async def _many(sim: Simulator) -> None:
    async with httpx.AsyncClient(transport=sim.transport(), base_url=LOCAL) as http:

        async def ask(number: int) -> Any:  # noqa: ANN401 - httpx
            clip = f"{LOCAL}/media/synthetic/{160 + 2 * (number % 7)}x120_10fps_2s.mp4"
            headers = {"authorization": f"Bearer k{number % 3}"}
            if number % 4:
                return await http.post(VICSEE, json={"video_url": clip}, headers=headers)
            return await http.get("/vicsee/api/v1/credits", headers=headers)

        await asyncio.gather(*map(ask, range(40)))


def test_a_reset_starts_a_new_log(start: Start) -> None:
    """An export after a reset contains only the later requests, and these replay."""
    run = start()
    run.call("POST", VICSEE, "k", json={"video_url": ASSUMED})
    run.admin("POST", "reset")
    run.call("GET", "/vicsee/api/v1/credits", "k")
    found = run.export()

    assert ["/vicsee/api/v1/credits"] == [
        entry["request"]["path"] for entry in found["commands"] if "request" in entry
    ]
    same(replayed(found), 1)


def test_an_output_with_the_audio_of_a_fetched_video_is_not_compared(
    start: Start, tmp_path: Path
) -> None:
    """A replay fetches no video, so it reports that such an output's file is not compared."""
    video = Path(__file__).parents[2] / "fixtures" / "media" / "empty_edit.mp4"
    (tmp_path / "v.mp4").write_bytes(video.read_bytes())
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    run = start(clock="manual")
    source = f"http://127.0.0.1:{server.server_port}/v.mp4"
    job = run.call("POST", WAVESPEED, "k", json={"video": source}).json()["data"]["id"]
    run.admin("POST", "clock/advance", {"seconds": 10_000})
    run.call("GET", f"/media/outputs/{job}.mp4")
    server.shutdown()
    server.server_close()
    report = run.replayed()
    same(report, 2)
    assert any("is not compared" in note for note in report.notes)
