"""What a create is refused for, with which status and text, and which refusal wins."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.http.piapi.conftest import Api, Start

NO_VIDEO = "failed to get valid video"
TOO_BIG = "video exceeds the 10MB limit"
RESOLUTION = "invalid video: the resolution must not exceed 1280x720"
FRAMES = "invalid video: the frame count must be between 10 and 240"
FORMAT = "invalid video: only MP4 is supported"


def refused(answer: httpx.Response, status: int, message: str) -> None:
    """Assert the envelope of a refusal: its code is the status, there is no data."""
    assert (status, {"code": status, "data": None, "message": message}) == (
        answer.status_code,
        answer.json(),
    )


def untouched(api: Api) -> None:
    """Assert that no task, no charge and no row of history is there."""
    assert api.wallet()["point_used"] == 0
    assert api.data("/api/open/tasks/histories")["total"] == 0


BAD_FIELDS = [
    ({"model": None}, "invalid request: model is required"),
    ({"model": ""}, "invalid request: model is required"),
    ({"model": 1}, "invalid request: model must be of type string"),
    ({"model": "qubico/video-toolkit"}, "invalid request: model is not supported"),
    ({"task_type": None}, "invalid request: task_type is required"),
    ({"task_type": []}, "invalid request: task_type must be of type string"),
    ({"task_type": "face-swap"}, "invalid request: task_type is not supported"),
    ({"task_type": "Upscale"}, "invalid request: task_type is not supported"),
    ({"input": None}, "invalid request: input is required"),
    ({"input": "video"}, "invalid request: input must be of type object"),
    ({"input": {}}, "invalid request: input.video is required"),
    ({"input": {"video": ""}}, "invalid request: input.video is required"),
    ({"input": {"video": 7}}, "invalid request: input.video must be of type string"),
    ({"config": 1}, "invalid request: config must be of type object"),
    (
        {"config": {"webhook_config": "x"}},
        "invalid request: config.webhook_config must be of type object",
    ),
    (
        {"config": {"webhook_config": {"endpoint": 1}}},
        "invalid request: endpoint must be of type string",
    ),
    (
        {"config": {"webhook_config": {"secret": False}}},
        "invalid request: secret must be of type string",
    ),
    ({"config": {"service_mode": 1}}, "invalid request: service_mode must be of type string"),
    ({"config": {"service_mode": "other"}}, "invalid request: service_mode is not supported"),
]


@pytest.mark.parametrize(("change", "message"), BAD_FIELDS)
def test_an_invalid_field_is_named_in_the_refusal(
    api: Api, change: dict[str, Any], message: str
) -> None:
    """A field that is null, has a wrong type or a wrong value gets a 400 that names it."""
    refused(api.http.post("/api/v1/task", json={**api.body(), **change}), 400, message)
    untouched(api)


@pytest.mark.parametrize("field", ["model", "task_type", "input"])
def test_an_absent_required_field_is_refused(api: Api, field: str) -> None:
    """If a required field is absent, a 400 names it."""
    body = api.body()
    del body[field]

    refused(api.http.post("/api/v1/task", json=body), 400, f"invalid request: {field} is required")


@pytest.mark.parametrize(
    ("clip", "status", "message"),
    [
        ("640x360_10fps_0.9s.mp4", 400, FRAMES),
        ("640x360_10fps_24.1s.mp4", 400, FRAMES),
        ("1282x720_10fps_1s.mp4", 400, RESOLUTION),
        ("1280x722_10fps_1s.mp4", 400, RESOLUTION),
        ("722x1280_10fps_1s.mp4", 400, RESOLUTION),
        ("1920x1080_10fps_6s.mp4", 400, RESOLUTION),
        ("640x360_10fps_6s.mov", 400, FORMAT),
        ("640x360_10fps_6s.mkv", 400, FORMAT),
        ("640x360_10fps_6s.webm", 400, FORMAT),
        ("64x64_10fps_1s.mp4?bytes=10485761", 413, TOO_BIG),
        ("no-such-clip.mp4", 400, NO_VIDEO),
    ],
)
def test_a_video_beyond_a_limit_is_refused(api: Api, clip: str, status: int, message: str) -> None:
    """A video that is too large gets a 413; any other limit that it breaks gets a 400."""
    refused(api.http.post("/api/v1/task", json=api.body(api.clip(clip))), status, message)
    untouched(api)


@pytest.mark.parametrize(
    "video",
    [
        "http://",
        "https://[/clip.mp4",
        "http://127.0.0.1:9/nothing-listens-here.mp4",
        "HTTP://example.com/upper-case.mp4",
        "ftp://example.com/clip.mp4",
        "string",
        "AAAA====",
        "bm90IGEgdmlkZW8gYXQgYWxs",
        "data:video/mp4;base64,bm90IGEgdmlkZW8gYXQgYWxs",
        "data:video/mp4,plain",
        "data:",
    ],
)
def test_an_unreachable_or_broken_video_is_refused(api: Api, video: str) -> None:
    """An unreachable URL and invalid base64 get the documented 400 `failed to get valid video`."""
    refused(api.http.post("/api/v1/task", json=api.body(video)), 400, NO_VIDEO)
    untouched(api)


@pytest.mark.parametrize(("ending", "container"), [("mov", "video/mp4"), ("mkv", "video/mp4")])
def test_the_bytes_of_a_video_decide_its_format(api: Api, ending: str, container: str) -> None:
    """MOV and MKV bytes are refused, even if their data URI has the type `video/mp4`."""
    text = base64.b64encode(api.clip_bytes(f"64x64_10fps_1s.{ending}")).decode()

    answer = api.http.post("/api/v1/task", json=api.body(f"data:{container};base64,{text}"))

    refused(answer, 400, FORMAT)


def test_base64_of_one_byte_above_ten_mebibytes_is_too_large(api: Api) -> None:
    """A base64 video gets a 413 if its decoded bytes exceed 10 MiB by one byte."""
    data = api.clip_bytes("64x64_10fps_1s.mp4?bytes=10485761")

    answer = api.http.post("/api/v1/task", json=api.body(base64.b64encode(data).decode()))

    refused(answer, 413, TOO_BIG)
    untouched(api)


def test_a_body_above_fifteen_mebibytes_is_too_large(api: Api) -> None:
    """A request body above 15 MiB gets a 413 before it is parsed."""
    answer = api.http.post("/api/v1/task", json=api.body("A" * 15_728_640))

    refused(answer, 413, TOO_BIG)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "invalid request body"),
        (b"{", "invalid request body"),
        (b'{"model": NaN}', "invalid request body"),
        (b'{"model": "\xff"}', "invalid request body"),
        (b"[" * 10_000 + b"]" * 10_000, "invalid request body"),
        (b"[]", "invalid request body: a JSON object is expected"),
        (b'"text"', "invalid request body: a JSON object is expected"),
        (b"null", "invalid request body: a JSON object is expected"),
        (b'{"model": "\\ud800"}', "invalid request body"),
        (b'{"model": ' + b"9" * 400 + b"}", "invalid request: model must be of type string"),
        (b'{"model": 1e400}', "invalid request body"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(api: Api, content: bytes, message: str) -> None:
    """A body that is not a valid JSON object gets a 400."""
    headers = {"content-type": "application/json"}

    refused(api.http.post("/api/v1/task", content=content, headers=headers), 400, message)


@pytest.mark.parametrize(
    ("knob", "content_type", "status"),
    [
        ("json", "application/json; charset=utf-8", 200),
        ("json", "Application/JSON", 200),
        ("json", "text/plain", 400),
        ("json", "application/x-www-form-urlencoded", 400),
        ("any", "text/plain", 200),
    ],
)
def test_another_content_type_is_refused(
    start: Start, knob: str, content_type: str, status: int
) -> None:
    """A JSON body with another content type gets a 400, unless `content_type: any` is set."""
    api = start(knobs={"content_type": knob})
    request = api.http.build_request("POST", "/api/v1/task", json=api.body())
    request.headers["content-type"] = content_type

    assert status == api.http.send(request).status_code


def test_a_missing_content_type_is_accepted(api: Api) -> None:
    """A JSON body without a `Content-Type` header is accepted."""
    request = api.http.build_request("POST", "/api/v1/task", json=api.body())
    del request.headers["content-type"]

    assert api.http.send(request).status_code == 200


@pytest.mark.parametrize(("knob", "status"), [("last", 200), ("refuse", 400)])
def test_duplicate_keys_decides_about_a_repeated_key(start: Start, knob: str, status: int) -> None:
    """The `duplicate_keys` knob decides whether the last repeated key is used or a 400 is sent."""
    api = start(knobs={"duplicate_keys": knob})
    right = api.http.build_request("POST", "/api/v1/task", json=api.body()).content
    content = b'{"model": "other", ' + right[1:]

    answer = api.http.post(
        "/api/v1/task", content=content, headers={"content-type": "application/json"}
    )

    assert status == answer.status_code


@pytest.mark.parametrize(
    "path",
    ["/api/v1/task/x", "/account/info", "/account/active_tasks", "/api/open/tasks/histories"],
)
@pytest.mark.parametrize("key", [None, "", "  "])
def test_a_missing_or_empty_key_is_unauthorized(api: Api, path: str, key: str | None) -> None:
    """A request with a missing, empty or blank key gets a 401."""
    del api.http.headers["x-api-key"]
    headers = {} if key is None else {"x-api-key": key}

    refused(api.http.get(path, headers=headers), 401, "unauthorized: invalid api key")


def test_with_strict_keys_an_unissued_key_is_unauthorized(start: Start) -> None:
    """With strict keys, a key that was not issued gets a 401."""
    api = start(strict_keys=True, key="never-issued")

    refused(api.http.post("/api/v1/task", json=api.body()), 401, "unauthorized: invalid api key")


@pytest.mark.parametrize(("knob", "status"), [("402", 402), ("400", 400)])
def test_funds_status_selects_402_or_400_for_insufficient_credits(
    start: Start, knob: str, status: int
) -> None:
    """If the balance is too low, a create gets a 402, or a 400 with `funds_status: 400`."""
    api = start(knobs={"funds_status": knob}, accounts={"piapi": {"balance": "179999"}})

    refused(api.http.post("/api/v1/task", json=api.body()), status, "insufficient credits")
    untouched(api)


def test_a_plan_without_access_is_forbidden(start: Start) -> None:
    """If a scenario removes the API access of a plan, a request of this plan gets a 403."""
    api = start(plans={"creator": {"access": False}})

    refused(api.http.post("/api/v1/task", json=api.body()), 403, "Insufficient plan level")


def _bad_json(api: Api) -> httpx.Response:
    return api.http.post("/api/v1/task", content=b"{", headers={"content-type": "text/plain"})


def _nothing_right(api: Api) -> httpx.Response:
    return api.http.post("/api/v1/task", json={"model": "x", "task_type": "y"})


def _bad_type_and_input(api: Api) -> httpx.Response:
    return api.http.post("/api/v1/task", json={**api.body(), "task_type": "y", "input": 1})


def _bad_config_and_video(api: Api) -> httpx.Response:
    return api.http.post("/api/v1/task", json=api.body("string", service_mode="other"))


def _large_mov(api: Api) -> httpx.Response:
    clip = api.clip("1920x1080_10fps_0.5s.mov?bytes=10485761")
    return api.http.post("/api/v1/task", json=api.body(clip))


def _short_large_mov(api: Api) -> httpx.Response:
    return api.http.post("/api/v1/task", json=api.body(api.clip("1920x1080_10fps_0.5s.mov")))


def _short_large_mp4(api: Api) -> httpx.Response:
    return api.http.post("/api/v1/task", json=api.body(api.clip("1920x1080_10fps_0.5s.mp4")))


def _short(api: Api) -> httpx.Response:
    return api.http.post("/api/v1/task", json=api.body(api.clip("640x360_10fps_0.5s.mp4")))


@pytest.mark.parametrize(
    ("send", "status", "message"),
    [
        (_bad_json, 400, "invalid request body: Content-Type must be application/json"),
        (_nothing_right, 400, "invalid request: model is not supported"),
        (_bad_type_and_input, 400, "invalid request: task_type is not supported"),
        (_bad_config_and_video, 400, "invalid request: service_mode is not supported"),
        (_large_mov, 413, TOO_BIG),
        (_short_large_mov, 400, FORMAT),
        (_short_large_mp4, 400, RESOLUTION),
        (_short, 400, FRAMES),
    ],
)
def test_of_two_mistakes_the_earlier_check_wins(
    start: Start, send: Callable[[Api], httpx.Response], status: int, message: str
) -> None:
    """If a request breaks several rules, the response names the first in the documented order.

    The order is body, fields, size, container, resolution, frames and balance.
    """
    api = start(accounts={"piapi": {"balance": "0"}})

    refused(send(api), status, message)


def test_a_missing_key_wins_over_every_other_mistake(api: Api) -> None:
    """A request without a key gets a 401, even if its body is invalid too."""
    del api.http.headers["x-api-key"]

    refused(_bad_json(api), 401, "unauthorized: invalid api key")
