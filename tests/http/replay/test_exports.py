"""What stands in an export, what never does, and what is told of one that cannot be replayed."""

from __future__ import annotations

import base64
import copy
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.http.replay.conftest import (
    ASSUMED,
    VICSEE,
    WAVESPEED,
    Recorded,
    Start,
    document_of,
    replayed,
    same,
)
from tests.uploads import put_file
from upsim import Simulator
from upsim.cli import main
from upsim.engine.body_memory import MAX_HELD
from upsim.engine.registry import SandboxRequest
from upsim.media.clip_names import parse_clip_name
from upsim.media.synthetic import make_clip
from upsim.web.replay.document import ExportError, read

PRIVATE = "sk-a-key-that-nobody-may-see"
SECRET = "a-webhook-secret-of-mine"


def private_session(run: Recorded) -> dict[str, Any]:
    """Use keys and secrets everywhere they can be, and export."""
    task = {"model": "Qubico/video-toolkit", "task_type": "upscale", "input": {"video": ASSUMED}}
    config = {"webhook_config": {"endpoint": "http://127.0.0.1:9/", "secret": SECRET}}
    run.call("POST", "/piapi/api/v1/task", PRIVATE, json={**task, "config": config})
    run.call("POST", WAVESPEED, PRIVATE, json={"video": ASSUMED})
    run.call("GET", "/wavespeed/api/v3/webhook/secret", PRIVATE)
    run.admin("POST", "accounts/vicsee/keys", {"key": f"{PRIVATE}-2"})
    made = run.call("POST", VICSEE, f"{PRIVATE}-2", json={"video_url": ASSUMED}).json()
    run.call("POST", VICSEE, "", json={}, headers={"cookie": PRIVATE, "x-other": PRIVATE})
    run.admin("POST", "faults", {"provider": "vicsee", "at": "poll", "do": {"delay": "1s"}})
    run.call("GET", f"/vicsee/api/v1/tasks/{made['data']['id']}", f"{PRIVATE}-2")
    run.admin("POST", "clock/advance", {"to": "idle"})
    return run.export()


def test_no_secret_is_exported(start: Start) -> None:
    """Keys, those in bodies and in other headers included, tokens and webhook secrets are not."""
    run = start(clock="auto")
    found = private_session(run)
    text = json.dumps(found)

    assert [] == [secret for secret in (PRIVATE, SECRET, "in-process") if secret in text]
    same(replayed(found), 7)


def test_no_address_opens_a_door(start: Start) -> None:
    """Passwords and signed parameters of addresses are overwritten, and all is replayed alike."""
    run = start(clock="manual")
    signed = "https://u:CANARY1@b.test/a.mp4?X-Amz-Signature=CANARY2&part=1&token=CANARY3"
    hook = "http://u:CANARY4@127.0.0.1:9/x?token=CANARY5"
    for path in ("/vicsee/api/v1/tools/upscale-video", WAVESPEED):
        body = {"video": signed, "video_url": signed}
        run.call("POST", path, PRIVATE, params={"webhook": hook}, json=body)
    queued = {"model": "topaz-video-upscale", "video_url": signed, "upscale_factor": 2}
    run.call("POST", "/venice/api/v1/video/queue", PRIVATE, json=queued)
    run.call("GET", "/vicsee/api/v1/credits", PRIVATE, params={"api_key": "CANARY6"})
    run.admin("POST", "clock/advance", {"seconds": 300})
    found = run.export()

    assert "CANARY" not in json.dumps(found)
    assert "&part=1&" in json.dumps(found)
    same(replayed(found), 5)


def test_no_key_is_in_memory(start: Start) -> None:
    """The log holds names of keys, from the first moment on."""
    run = start(clock="auto")
    run.call("POST", WAVESPEED, PRIVATE, json={"video": ASSUMED})
    run.call("POST", WAVESPEED, PRIVATE, json={"video": ASSUMED, "enable_sync_mode": True})

    assert PRIVATE not in repr(run.sim.sandbox.commands.entries)


def test_two_keys_of_one_account_are_told_apart(start: Start) -> None:
    """Each key has a name with its provider and its account; refused keys have names of theirs."""
    run = start()
    run.sim.registry.create(SandboxRequest(id="box", keys={"vicsee": "sk-one"}, strict_keys=True))
    run.admin("POST", "accounts/vicsee/keys", {"key": "sk-two"}, "box")
    for key in ("sk-one", "sk-two", "sk-one"):
        run.call("GET", "/vicsee/api/v1/credits", key)
    for key in ("sk-three", "sk-four", "of-no-form"):
        run.call("GET", "/sandbox/box/vicsee/api/v1/credits", key)
    asked = [entry["request"] for entry in run.export("box")["commands"] if "request" in entry]

    assert [
        None,
        "vicsee/main",
        "vicsee/main#2",
        "vicsee/main",
        "vicsee/unknown",
        "vicsee/unknown#2",
        "vicsee/ill_formed",
    ] == [request.get("key") for request in asked]


def test_a_full_log_says_so() -> None:
    """Beyond its bound the log keeps nothing; the export names the place, and the rest replays."""
    with Simulator(clock="manual", seed=1) as sim:
        sim.app.registry.settings = replace(sim.app.registry.settings, commands_max=6)
        sim.registry.reset("default")
        run = Recorded(sim, httpx.Client(transport=sim.transport(), base_url="http://127.0.0.1"))
        for _ in range(9):
            run.call("POST", VICSEE, "k", json={"video_url": ASSUMED})
        found = run.export()
    report = replayed(found)

    assert {"after": 6, "why": "6 entries are kept"} == found["incomplete"]
    assert [
        "the log ends after entry 6 (6 entries are kept): later ones are missing"
    ] == report.notes
    same(report, 5)


def test_bytes_are_bounded() -> None:
    """A log that holds as many bytes as it may takes no more."""
    with Simulator(clock="manual", seed=1) as sim:
        sim.app.registry.settings = replace(sim.app.registry.settings, commands_bytes=50_000)
        log = sim.registry.reset("default").commands
        with httpx.Client(transport=sim.transport(), base_url="http://127.0.0.1") as http:
            for _ in range(100):
                http.post(VICSEE, content=b"x" * 10_000)

    assert (False, True) == (log.open, log.count < 6)


def few_bytes(run: Recorded) -> None:
    """Let the command log of the default sandbox keep no more than 2 MiB."""
    registry = run.sim.app.registry
    registry.settings = replace(registry.settings, commands_bytes=2 * 1024 * 1024)
    registry.reset("default")


def test_long_bodies_are_kept_whole(start: Start) -> None:
    """A long JSON body and a long upload are in the export; the replay sends every byte."""
    run = start()
    size = 3 * 1024 * 1024
    ticket = {"contentType": "video/mp4", "sizeBytes": size}
    target = run.call("POST", "/vicsee/api/v1/upload", "k", json=ticket).json()["data"]["uploadUrl"]
    etag = put_file(run.http, target, b"\1" * size).headers["etag"]
    video = "data:video/mp4;base64," + base64.b64encode(b"\1" * 1_200_000).decode()
    run.call("POST", "/venice/api/v1/video/queue", "k", json={"video_url": video})
    report = run.replayed()

    assert etag in json.dumps(run.export()).replace("\\", "")
    same(report, 3)


def test_long_bodies_use_half_of_the_bytes_kept(start: Start) -> None:
    """Further long bodies are cut, so that they do not end the log early."""
    run = start()
    registry = run.sim.app.registry
    registry.settings = replace(registry.settings, commands_bytes=8 * 1024 * 1024)
    registry.reset("default")
    for _ in range(3):
        run.call("POST", "/venice/api/v1/video/queue", "k", content=b"x" * 3_000_000)
    bodies = [entry["request"]["body"] for entry in run.export()["commands"] if "request" in entry]

    assert [False, True, True] == [body.get("cut", False) for body in bodies]


def test_a_long_upload_is_cut(start: Start) -> None:
    """Of an upload that has no room only the beginning is kept; the replay fills up the rest."""
    run = start()
    few_bytes(run)
    size = 3 * 1024 * 1024
    ticket = {"contentType": "video/mp4", "sizeBytes": size}
    target = run.call("POST", "/vicsee/api/v1/upload", "k", json=ticket).json()["data"]["uploadUrl"]
    assert put_file(run.http, target, b"\1" * size).status_code == 200
    found = run.export()
    body = found["commands"][-1]["request"]["body"]

    assert (size, True, 1024 * 1024) == (body["bytes"], body["cut"], len(body["text"]))
    same(replayed(found), 2)


def test_a_long_call_ends_the_replay(start: Start) -> None:
    """JSON that was not kept whole cannot be sent again: the replay stops before it and says so."""
    run = start()
    few_bytes(run)
    box = (1_200_008).to_bytes(4, "big") + b"free" + bytes(1_200_000)
    clip = make_clip(parse_clip_name("64x64_10fps_1s.mp4")) + box
    video = "data:video/mp4;base64," + base64.b64encode(clip).decode()
    body = {"model": "topaz-video-upscale", "video_url": video}
    run.call("GET", "/venice/api/v1/billing/balance", "k")
    assert run.call("POST", "/venice/api/v1/video/queue", "k", json=body).status_code == 200
    report = replayed(run.export())

    assert (1, False) == (report.compared, report.same)
    assert "of its body were kept" in report.stopped


def test_refused_upload_that_was_cut_is_skipped(start: Start, tmp_path: Path) -> None:
    """A refusal leaves nothing: the replay goes on without the request, and its exit code tells."""
    run = start()
    few_bytes(run)
    run.call("GET", "/venice/api/v1/billing/balance", "k")
    body = {"file_name": "a.mp4", "file_data": "*" * 1_200_000}  # no base64
    assert run.call("POST", "/piapi/api/ephemeral_resource", "k", json=body).status_code == 400
    run.call("GET", "/venice/api/v1/billing/balance", "k")
    found = run.export()
    report = replayed(found)

    assert (2, 0, "", False) == (
        report.compared,
        report.unanswered,
        report.stopped,
        report.same,
    )
    (reason,) = report.skipped
    assert reason.endswith(
        "bytes of its body were kept; skipped, for its answer was a refusal (400)"
    )
    file = tmp_path / "session.json"
    file.write_text(json.dumps(found), "utf-8")
    result = CliRunner().invoke(main, ["replay", str(file)])
    assert (1, 1) == (result.exit_code, result.stdout.count("\nskipped   entry "))


def test_changed_rules_are_told(start: Start) -> None:
    """Rules that are not those of the recording are named before anything else."""
    run = start()
    run.call("POST", VICSEE, "k", json={"video_url": ASSUMED})
    found = run.export()
    found["rules"]["vicsee"] = "another"

    assert ["the rules of vicsee are not those of the recording (upsim 0.1.0)"] == [
        *replayed(found).notes
    ]


def test_oversized_bodies(start: Start) -> None:
    """A body that was not read because it is too long is too long in the replay."""
    run = start()
    answer = run.call("POST", VICSEE, "k", content=b"{" + b" " * 40_000_000 + b"}")
    found = run.export()

    assert answer.status_code == 413
    assert len(json.dumps(found)) < 10_000
    same(replayed(found), 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "x is no export: it is not JSON"),
        (b"\xff\xfe", "x is no export: it is not JSON"),
        (b"[" * 100_000, "x is no export: it is not JSON"),
        (b"[]", "x is no export: it is an empty list, expected an object; GET /__sim"),
        (b"{}", 'x is no export: it has no "format", expected "upsim-export"; GET /__sim'),
        (
            b'{"format": "har"}',
            'x is no export: format is the text "har", expected "upsim-export"; GET',
        ),
        (b'{"format": "upsim-export", "version": 9}', "x is an export of version 9; this upsim"),
        (b'{"format": "upsim-export", "version": 1}', "x is a broken export: Object missing"),
    ],
)
def test_what_is_no_export(text: bytes, message: str) -> None:
    """A sentence says what a file is instead."""
    with pytest.raises(ExportError) as caught:
        read(text, name="x")

    assert str(caught.value).startswith(message)


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    """Return the export of a short session with an entry of every kind."""
    with Simulator(clock="auto", seed=1, scenario="vicsee/plan-starter") as sim:
        run = Recorded(sim, httpx.Client(transport=sim.transport(), base_url="http://127.0.0.1"))
        found = private_session(run)
        kinds = {kind for entry in found["commands"] for kind in entry}
    assert {"opened", "request", "resumed", "webhook"} <= kinds
    return found


def places(value: object, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return every place of a document, without the many of the scenario's values."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = [pair for pair in value.items() if here or pair[0] != "values"]
    if isinstance(value, list):
        items = list(enumerate(value))
    return [here, *(place for key, item in items for place in places(item, (*here, key)))]


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ({"query": "a=\u2028"}, "request.query"),
        ({"headers": [["\u2028", "a"]]}, "request.headers[0][0]"),
        ({"headers": [["a", "é\u2028"]]}, "request.headers[0][1]"),
        ({"body": {"base64": "a"}}, "request.body.base64"),
        ({"body": {"base64": "é"}}, "request.body.base64"),
    ],
)
def test_what_no_request_can_hold(small: dict[str, Any], part: object, place: str) -> None:
    """A text that is no header, and bytes that are none, are told with their place."""
    damaged = copy.deepcopy(small)
    number, entry = next((n, e) for n, e in enumerate(damaged["commands"]) if "request" in e)
    entry["request"] |= part
    with pytest.raises(ExportError) as caught:
        read(json.dumps(damaged).encode(), name="x")
    assert str(caught.value).endswith(f"at `$.commands[{number}].{place}`")


@pytest.mark.parametrize("rate", ["x", "1/0", "nan", "1e999999999", "-1"])
def test_a_frame_rate_that_is_none(small: dict[str, Any], rate: str) -> None:
    """What was measured is read as exactly as it was written."""
    damaged = copy.deepcopy(small)
    damaged["commands"][0]["media"] = {"frame_rate": rate}
    with pytest.raises(ExportError, match=r"media\.frame_rate"):
        read(json.dumps(damaged).encode(), name="x")


ODD: st.SearchStrategy[object] = st.sampled_from(
    [None, 0, -1, 10**30, "", "x", "vicsee", "\0", "é\ud800", [], {}, True, 1.5, "9999-01-01", [[]]]
)


@given(st.integers(0, 10**6), ODD)
@example(0, None)
@settings(max_examples=75, deadline=None)
def test_a_damaged_export_never_breaks_the_replay(
    small: dict[str, Any], number: int, odd: object
) -> None:
    """Whatever is changed in a file, it is refused with a sentence, or the replay reports."""
    damaged = copy.deepcopy(small)
    all_places = places(damaged)[1:]
    *path, last = all_places[number % len(all_places)]
    inner: Any = damaged
    for step in path:
        inner = inner[step]
    inner[last] = odd
    with suppress(ExportError):
        report = replayed(damaged)
        assert report.entries >= report.compared


def test_the_export_is_listed(start: Start) -> None:
    """`GET /__sim` tells of the call."""
    calls = start().http.get("/__sim").json()["calls"]
    (does,) = [call["does"] for call in calls if call["path"].endswith("/export")]

    assert does == "return a file with which `upsim replay` runs this sandbox again."


def test_an_export_is_a_file(start: Start) -> None:
    """A browser saves it under a name of its own."""
    answer = start().http.get("/__sim/sandboxes/default/export")

    assert answer.headers["content-disposition"] == 'attachment; filename="upsim-default.json"'
    assert document_of(answer.json()).commands == []


def test_a_refusal_for_want_of_memory_is_not_replayed(start: Start) -> None:
    """It is in no export, since a replay is not as crowded, and changes nothing afterwards."""
    run = start(clock="manual")
    queue = "/venice/api/v1/video/queue"
    sent = {"model": "topaz-video-upscale", "video_url": ASSUMED, "upscale_factor": 2}
    run.call("POST", queue, "k", json=sent)
    with run.sim.registry.room.share() as others:
        others.hold(MAX_HELD)
        large = {"prompt": "x" * 2**20, **sent}
        assert run.call("POST", queue, "new", json=large).status_code == 507
        assert run.call("POST", queue, "new", json=sent).status_code == 200
    assert run.call("POST", queue, "new", json=large).status_code != 507
    same(run.replayed(), 3)
