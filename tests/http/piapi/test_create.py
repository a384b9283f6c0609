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


def test_the_answer_is_the_page_and_the_live_envelope_in_one(api: Api) -> None:
    """By default the answer has the page's task_id and the envelope with the whole task."""
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
def test_the_form_of_the_answer_can_be_chosen(start: Start, form: str, keys: set[str]) -> None:
    """`response_form` gives the page's form, the live form, or both."""
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
def test_videos_within_the_limits_are_charged_by_the_frame(
    api: Api, clip: str, consume: int
) -> None:
    """All limits are inclusive, and 3,000 points a frame are taken at once."""
    task = api.create(api.clip(clip))

    assert consume == task["meta"]["usage"]["consume"]
    assert consume == api.wallet()["point_used"]


@pytest.mark.parametrize(
    "form",
    ["{}", "data:video/mp4;base64,{}", "DATA:video/MP4;Base64,{}", "data:;base64,{}"],
)
def test_a_video_may_be_base64(api: Api, form: str) -> None:
    """Raw base64 and data URIs are measured by content."""
    text = base64.b64encode(api.clip_bytes()).decode()

    task = api.create(form.format(text))

    assert task["meta"]["usage"]["consume"] == 30000


def test_ten_mebibytes_of_base64_pass(api: Api) -> None:
    """The limit is one of decoded bytes, so a body of almost 14 MB is read."""
    data = api.clip_bytes("64x64_10fps_1s.mp4?bytes=10485760")

    task = api.create(base64.b64encode(data).decode())

    assert task["status"] == "pending"


def test_long_base64_is_echoed_as_a_link_to_the_same_bytes(api: Api) -> None:
    """Polling stays cheap: the text of the file is not repeated, a link for a day is."""
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


def test_long_base64_that_cannot_be_kept_is_echoed_cut(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without room for the file the task is taken all the same."""
    text = base64.b64encode(api.clip_bytes("64x64_10fps_1s.mp4?bytes=20000")).decode()
    monkeypatch.setattr(api.sim.registry.blobs, "_max_bytes", 1)

    shown = api.create(text)["input"]["video"]

    assert shown.startswith(text[:64])
    assert len(shown) < 200


def test_text_that_a_media_rule_speaks_for_needs_no_file(start: Start) -> None:
    """A scenario may say what a text is; then nothing is decoded and the text is echoed, cut."""
    video = "?" * 5000
    api = start(media=[{"url": "[?]*", "duration": "2", "size": "640x360", "fps": "30"}])

    task = api.create(video)

    assert task["meta"]["usage"]["consume"] == 180000
    assert task["input"]["video"].startswith("???")


def test_a_url_is_echoed_verbatim_whatever_its_length(api: Api) -> None:
    """The input is shown as it came."""
    video = f"https://example.com/a.mp4?{'x' * 5000}"

    task = api.create(video)

    assert video == task["input"]["video"]


def test_a_url_that_is_not_fetched_is_taken_for_the_example(api: Api) -> None:
    """The default video has the sixty frames of the page's price example, $0.018."""
    task = api.create("https://example.com/clip.mp4")

    assert task["meta"]["usage"]["consume"] == 180000


def test_config_is_echoed_in_clear(api: Api) -> None:
    """Webhook and service mode come back in create and get, the secret readable."""
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
def test_config_is_optional_in_every_part(
    api: Api, config: dict[str, Any] | None, echoed: tuple[str, str, str]
) -> None:
    """Absent and null parts are empty; an endpoint may be any text, as in the page's sample."""
    answer = api.http.post("/api/v1/task", json={**api.body(), "config": config})

    found = answer.json()["data"]["config"]
    webhook = found["webhook_config"]
    assert echoed == (found["service_mode"], webhook["endpoint"], webhook["secret"])


def test_unknown_keys_are_ignored(api: Api) -> None:
    """A scale, and a webhook beside `config`, change nothing."""
    body = api.body()
    body["input"]["scale"] = 4
    body["webhook_config"] = {"endpoint": "http://127.0.0.1:9/hook", "secret": "s"}

    task = api.http.post("/api/v1/task", json=body).json()["data"]

    assert task["input"] == {"video": api.clip()}
    assert task["config"]["webhook_config"] == {"endpoint": "", "secret": ""}


def test_a_repeated_request_is_a_second_task(api: Api) -> None:
    """There is no idempotency: both are charged."""
    first, second = api.create(), api.create()

    assert first["task_id"] != second["task_id"]
    assert api.wallet()["point_used"] == 360000


@pytest.mark.parametrize(("knob", "status"), [("ignore", 200), ("refuse", 400)])
def test_private_mode_is_ignored_or_refused(start: Start, knob: str, status: int) -> None:
    """The toolkit has no hosted accounts; `private_mode` says what asking for one does."""
    api = start(knobs={"private_mode": knob})

    answer = api.http.post("/api/v1/task", json=api.body(service_mode="private"))

    assert status == answer.status_code


@pytest.mark.parametrize(("knob", "status"), [("sides", 200), ("strict", 400)])
def test_an_upright_video_passes_unless_the_limit_is_strict(
    start: Start, knob: str, status: int
) -> None:
    """`resolution: strict` compares width with 1280 and height with 720."""
    api = start(knobs={"resolution": knob})

    upright = api.http.post("/api/v1/task", json=api.body(api.clip("720x1280_10fps_1s.mp4")))

    assert status == upright.status_code
    assert api.create(api.clip("1280x720_10fps_1s.mp4"))["status"] == "pending"


@pytest.mark.parametrize(("knob", "logs"), [("list", []), ("null", None)])
def test_empty_logs_are_a_list_or_null(start: Start, knob: str, logs: list[str] | None) -> None:
    """`logs` gives either form."""
    assert logs == start(knobs={"logs": knob}).create()["logs"]


def test_timestamps_can_have_the_offset_that_was_seen_once(start: Start) -> None:
    """`time_zone: +08:00` is the same instant in another spelling; not yet stays as it is."""
    there = start().create()["meta"]
    here = start(knobs={"time_zone": "+08:00"}).create()["meta"]

    assert here["created_at"].endswith("+08:00")
    assert here["started_at"] == NOT_YET
    hours = (int(here["created_at"][11:13]) - int(there["created_at"][11:13])) % 24
    assert hours == 8


def test_exactly_the_price_is_enough(start: Start) -> None:
    """A balance of the cost is accepted and is then nothing."""
    api = start(accounts={"piapi": {"balance": "180000"}})

    api.create()

    assert api.wallet()["point_remain"] == 0
