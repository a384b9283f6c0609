"""Creating a task: the answer, what may be sent, what it costs."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

if TYPE_CHECKING:
    from tests.http.piapi.conftest import Api, Start

NOT_YET = "0001-01-01T00:00:00Z"
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,5}[1-9])?Z")


def test_create_returns_the_documented_and_the_live_form_together(api: Api) -> None:
    """By default a create response has the documented `task_id` and the envelope with the task."""
    answer = api.http.post("/api/v1/task", json=api.body())

    document = answer.json()
    task = document["data"]
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert document == {
        "task_id": task["task_id"],
        "code": 200,
        "data": {
            "task_id": task["task_id"],
            "model": "Qubico/video-toolkit",
            "task_type": "upscale",
            "status": "pending",
            "config": {"service_mode": "", "webhook_config": {"endpoint": "", "secret": ""}},
            "input": {"video": api.clip()},
            "output": None,
            "meta": {
                "created_at": task["meta"]["created_at"],
                "started_at": NOT_YET,
                "ended_at": NOT_YET,
                "usage": {"type": "llm", "frozen": 0, "consume": 180000},
                "is_using_private_pool": False,
            },
            "detail": None,
            "logs": [],
            "error": {"code": 0, "raw_message": "", "message": "", "detail": None},
        },
        "message": "success",
    }
    assert UUID(task["task_id"]).version == 4
    assert STAMP.fullmatch(task["meta"]["created_at"])


@pytest.mark.parametrize(
    ("form", "keys"),
    [
        ("superset", {"task_id", "code", "data", "message"}),
        ("bare", {"task_id"}),
        ("wrapped", {"code", "data", "message"}),
    ],
)
def test_response_form_selects_the_form_of_the_create_response(
    start: Start, form: str, keys: set[str]
) -> None:
    """`response_form` selects the documented form of a create response, the live form, or both."""
    api = start(knobs={"response_form": form})

    answer = api.http.post("/api/v1/task", json=api.body())

    assert keys == set(answer.json())


@pytest.mark.parametrize(
    ("clip", "consume"),
    [
        ("1280x720_24fps_10s.mp4", 720000),
        ("854x480_10fps_6s.mp4", 180000),
        ("640x360_10fps_1s.mp4", 30000),
        ("640x360_10fps_23.9s.mp4", 717000),
        ("720x1280_10fps_1s.mp4", 30000),
        ("64x64_10fps_1s_silent.mp4", 30000),
        ("64x64_10fps_1s.mp4?bytes=10485760", 30000),
    ],
)
def test_videos_at_the_limits_are_accepted_and_charged_by_the_frame(
    api: Api, clip: str, consume: int
) -> None:
    """A video exactly at a limit is accepted; a task is charged 3,000 points for each frame."""
    task = api.create(api.clip(clip))

    assert consume == task["meta"]["usage"]["consume"]
    assert consume == api.wallet()["point_used"]


@pytest.mark.parametrize(
    "form",
    ["{}", "data:video/mp4;base64,{}", "DATA:video/MP4;Base64,{}", "data:;base64,{}"],
)
def test_a_video_may_be_base64(api: Api, form: str) -> None:
    """A video can be sent as base64 or as a data URI; the server measures the decoded bytes."""
    text = base64.b64encode(api.clip_bytes()).decode()

    task = api.create(form.format(text))

    assert task["meta"]["usage"]["consume"] == 30000


def test_base64_of_ten_mebibytes_is_accepted(api: Api) -> None:
    """A base64 video of exactly 10 MiB is accepted, because the limit counts decoded bytes.

    The server therefore reads a body of almost 14 MB.
    """
    data = api.clip_bytes("64x64_10fps_1s.mp4?bytes=10485760")

    task = api.create(base64.b64encode(data).decode())

    assert task["status"] == "pending"


def test_long_base64_is_returned_as_a_link_to_the_same_bytes(api: Api) -> None:
    """For a long base64 video, the task shows a link to the same bytes instead of the text.

    The link works for a day.
    """
    data = api.clip_bytes("64x64_10fps_1s.mp4?bytes=20000")
    task = api.create("data:video/mp4;base64," + base64.b64encode(data).decode())
    link = task["input"]["video"]

    fetched = api.http.get(link, headers={})

    assert "/media/uploads/" in link
    assert data == fetched.content
    assert fetched.headers["content-type"] == "video/mp4"
    assert link == api.task(task["task_id"])["input"]["video"]
    api.advance(86_400)
    assert api.http.get(link).status_code == 404


def test_long_base64_is_shortened_if_the_server_cannot_store_it(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the file store is full, the task is accepted and shows the start of the base64 text."""
    text = base64.b64encode(api.clip_bytes("64x64_10fps_1s.mp4?bytes=20000")).decode()
    monkeypatch.setattr(api.sim.registry.blobs, "_max_bytes", 1)

    shown = api.create(text)["input"]["video"]

    assert shown.startswith(text[:64])
    assert len(shown) < 200


def test_a_media_rule_accepts_a_video_text_without_a_file(start: Start) -> None:
    """If a scenario's media rule matches the text of `video`, the text is not decoded.

    The task shows only the start of a long text.
    """
    video = "?" * 5000
    api = start(media=[{"url": "[?]*", "duration": "2", "size": "640x360", "fps": "30"}])

    task = api.create(video)

    assert task["meta"]["usage"]["consume"] == 180000
    assert task["input"]["video"].startswith("???")


def test_a_long_video_url_is_returned_in_full(api: Api) -> None:
    """A task shows its video URL unchanged, however long the URL is."""
    video = f"https://example.com/a.mp4?{'x' * 5000}"

    task = api.create(video)

    assert video == task["input"]["video"]


def test_a_public_url_is_assumed_to_be_the_60_frame_example(api: Api) -> None:
    """For a public URL, the server assumes a video with 60 frames and charges $0.018."""
    task = api.create("https://example.com/clip.mp4")

    assert task["meta"]["usage"]["consume"] == 180000


def test_config_is_returned_with_the_readable_secret(api: Api) -> None:
    """Create and get return the webhook and the service mode of a task; the secret is readable."""
    webhook = {"endpoint": "http://127.0.0.1:9/hook", "secret": "s3cret"}
    task = api.create(service_mode="public", webhook_config=webhook)

    echoed = {"service_mode": "public", "webhook_config": webhook}
    assert echoed == task["config"]
    assert echoed == api.task(task["task_id"])["config"]


@pytest.mark.parametrize(
    ("config", "echoed"),
    [
        (None, ("", "", "")),
        ({}, ("", "", "")),
        ({"service_mode": None, "webhook_config": None}, ("", "", "")),
        ({"webhook_config": {"endpoint": "string", "secret": "string"}}, ("", "string", "string")),
        ({"webhook_config": {"secret": "alone"}}, ("", "", "alone")),
        ({"service_mode": "private"}, ("private", "", "")),
    ],
)
def test_every_part_of_config_is_optional(
    api: Api, config: dict[str, Any] | None, echoed: tuple[str, str, str]
) -> None:
    """Absent and null parts of `config` are returned as empty; an endpoint can be any text."""
    answer = api.http.post("/api/v1/task", json={**api.body(), "config": config})

    found = answer.json()["data"]["config"]
    webhook = found["webhook_config"]
    assert echoed == (found["service_mode"], webhook["endpoint"], webhook["secret"])


def test_unknown_keys_are_ignored(api: Api) -> None:
    """An unknown key in `input`, or a webhook outside `config`, has no effect on the task."""
    body = api.body()
    body["input"]["scale"] = 4
    body["webhook_config"] = {"endpoint": "http://127.0.0.1:9/hook", "secret": "s"}

    task = api.http.post("/api/v1/task", json=body).json()["data"]

    assert task["input"] == {"video": api.clip()}
    assert task["config"]["webhook_config"] == {"endpoint": "", "secret": ""}


def test_a_repeated_request_creates_a_second_task(api: Api) -> None:
    """Two identical requests create and charge two tasks, because PiAPI has no idempotency."""
    first, second = api.create(), api.create()

    assert first["task_id"] != second["task_id"]
    assert api.wallet()["point_used"] == 360000


@pytest.mark.parametrize(("knob", "status"), [("ignore", 200), ("refuse", 400)])
def test_private_mode_is_ignored_or_refused(start: Start, knob: str, status: int) -> None:
    """The `private_mode` knob decides whether a task with `service_mode: private` is refused."""
    api = start(knobs={"private_mode": knob})

    answer = api.http.post("/api/v1/task", json=api.body(service_mode="private"))

    assert status == answer.status_code


@pytest.mark.parametrize(("knob", "status"), [("sides", 200), ("strict", 400)])
def test_an_upright_video_passes_unless_the_resolution_is_strict(
    start: Start, knob: str, status: int
) -> None:
    """A 720x1280 video is accepted, unless `resolution: strict` limits the height to 720."""
    api = start(knobs={"resolution": knob})

    upright = api.http.post("/api/v1/task", json=api.body(api.clip("720x1280_10fps_1s.mp4")))

    assert status == upright.status_code
    assert api.create(api.clip("1280x720_10fps_1s.mp4"))["status"] == "pending"


@pytest.mark.parametrize(("knob", "logs"), [("list", []), ("null", None)])
def test_empty_logs_are_a_list_or_null(start: Start, knob: str, logs: list[str] | None) -> None:
    """The `logs` knob decides whether a task without logs has an empty list or null."""
    assert logs == start(knobs={"logs": knob}).create()["logs"]


def test_timestamps_can_have_the_offset_of_the_live_api(start: Start) -> None:
    """With `time_zone: +08:00` times have this offset, except for times that are not yet set."""
    there = start().create()["meta"]
    here = start(knobs={"time_zone": "+08:00"}).create()["meta"]

    assert here["created_at"].endswith("+08:00")
    assert here["started_at"] == NOT_YET
    hours = (int(here["created_at"][11:13]) - int(there["created_at"][11:13])) % 24
    assert hours == 8


def test_a_balance_of_exactly_the_price_is_enough(start: Start) -> None:
    """A balance of exactly the price is accepted, and is 0 after the charge."""
    api = start(accounts={"piapi": {"balance": "180000"}})

    api.create()

    assert api.wallet()["point_remain"] == 0
