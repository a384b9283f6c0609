"""What stands in an export, what never does, and what is told of one that cannot be replayed."""

from __future__ import annotations

import base64
import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

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
from upsim.engine.sandbox_request import SandboxRequest
from upsim.media.clip_names import parse_clip_name
from upsim.media.synthetic import make_clip
from upsim.web.replay.export_document import ExportError, read

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


def test_no_secret_is_in_an_export(start: Start) -> None:
    """An export contains no keys, no tokens and no webhook secrets, and still replays."""
    run = start(clock="auto")
    found = private_session(run)
    text = json.dumps(found)

    assert [] == [secret for secret in (PRIVATE, SECRET, "in-process") if secret in text]
    same(replayed(found), 7)


def test_an_export_has_no_credentials_of_urls(start: Start) -> None:
    """Passwords and signed parameters in URLs are overwritten in an export, which still replays."""
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


def test_the_command_log_holds_no_key(start: Start) -> None:
    """The command log in memory contains names of keys instead of the keys."""
    run = start(clock="auto")
    run.call("POST", WAVESPEED, PRIVATE, json={"video": ASSUMED})
    run.call("POST", WAVESPEED, PRIVATE, json={"video": ASSUMED, "enable_sync_mode": True})

    assert PRIVATE not in repr(run.sim.sandbox.commands.entries)


def test_two_keys_of_one_account_have_different_names(start: Start) -> None:
    """An export gives each key its own name, with the provider and the account.

    Refused keys get names such as `vicsee/unknown#2`.
    """
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


def test_a_full_command_log_is_reported() -> None:
    """A full command log keeps no later entries, and the export says where the log ends.

    The entries before the end still replay.
    """
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


def test_the_command_log_has_a_maximum_of_bytes() -> None:
    """When the command log has reached its maximum of bytes, it accepts no further entry."""
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


def test_long_bodies_are_exported_in_full(start: Start) -> None:
    """An export contains a long JSON body and a long upload in full, and the replay sends them."""
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


def test_long_bodies_use_at_most_half_of_the_command_log(start: Start) -> None:
    """If long bodies fill half of the command log, later long bodies are cut."""
    run = start()
    registry = run.sim.app.registry
    registry.settings = replace(registry.settings, commands_bytes=8 * 1024 * 1024)
    registry.reset("default")
    for _ in range(3):
        run.call("POST", "/venice/api/v1/video/queue", "k", content=b"x" * 3_000_000)
    bodies = [entry["request"]["body"] for entry in run.export()["commands"] if "request" in entry]

    assert [False, True, True] == [body.get("cut", False) for body in bodies]


def test_an_upload_is_cut_if_the_command_log_has_no_room(start: Start) -> None:
    """If a long upload has no room in the log, only its start is kept.

    The replay adds the missing bytes.
    """
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


def test_a_replay_stops_before_a_cut_json_body(start: Start) -> None:
    """A cut JSON body cannot be sent again, so the replay stops before it and says so."""
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


def test_a_replay_skips_a_refused_request_with_a_cut_body(start: Start, tmp_path: Path) -> None:
    """If a request with a cut body was refused, the replay skips it and exits with 1."""
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


def test_changed_rules_are_the_first_note_of_a_replay(start: Start) -> None:
    """If the rules differ from those of the recording, the replay reports this first."""
    run = start()
    run.call("POST", VICSEE, "k", json={"video_url": ASSUMED})
    found = run.export()
    found["rules"]["vicsee"] = "another"

    assert ["the rules of vicsee are not those of the recording (upsim 0.1.0)"] == [
        *replayed(found).notes
    ]


def test_an_oversized_body_is_oversized_in_the_replay(start: Start) -> None:
    """A body that was too large to be read is not exported, and is refused again in a replay."""
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
def test_the_error_for_a_file_that_is_no_export_says_what_it_is(text: bytes, message: str) -> None:
    """If a file is no export, the error says what the file contains instead."""
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
def test_an_invalid_request_in_an_export_is_named_with_its_place(
    small: dict[str, Any], part: object, place: str
) -> None:
    """If an export has an invalid header, query or body, the error names the place."""
    damaged = copy.deepcopy(small)
    number, entry = next((n, e) for n, e in enumerate(damaged["commands"]) if "request" in e)
    entry["request"] |= part
    with pytest.raises(ExportError) as caught:
        read(json.dumps(damaged).encode(), name="x")
    assert str(caught.value).endswith(f"at `$.commands[{number}].{place}`")


@pytest.mark.parametrize("rate", ["x", "1/0", "nan", "1e999999999", "-1"])
def test_an_invalid_frame_rate_in_an_export_is_refused(small: dict[str, Any], rate: str) -> None:
    """If a measured frame rate in an export is invalid, the error names `media.frame_rate`."""
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
def test_a_damaged_export_never_crashes_the_replay(
    small: dict[str, Any], number: int, odd: object
) -> None:
    """An export with any changed value is refused with an error, or the replay reports it."""
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


def test_the_list_of_admin_calls_includes_the_export(start: Start) -> None:
    """`GET /__sim` lists the export request with its description."""
    calls = start().http.get("/__sim").json()["calls"]
    (does,) = [call["does"] for call in calls if call["path"].endswith("/export")]

    assert does == "return a file with which `upsim replay` runs this sandbox again."


def test_an_export_is_downloaded_as_a_file(start: Start) -> None:
    """The export response suggests the file name `upsim-default.json` to a browser."""
    answer = start().http.get("/__sim/sandboxes/default/export")

    assert answer.headers["content-disposition"] == 'attachment; filename="upsim-default.json"'
    assert document_of(answer.json()).commands == []


def test_a_507_for_lack_of_memory_is_not_exported(start: Start) -> None:
    """A request that was refused with a 507 for lack of memory is not in the export.

    A replay has enough memory, and the later requests get the same responses.
    """
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
