"""The upload host: a file sent as base64 becomes a link for a day."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from tests.http.piapi.conftest import Api, Start

PATH = "/api/ephemeral_resource"
BAD = {"code": 400, "message": "Invalid request parameters"}
SMALL = base64.b64encode(b"content").decode()


def upload(api: Api, name: Any = "clip.mp4", data: Any = SMALL) -> httpx.Response:  # noqa: ANN401
    """Upload a file."""
    return api.http.post(PATH, json={"file_name": name, "file_data": data})


@pytest.mark.parametrize(
    ("knob", "keys"),
    [("superset", {"code", "data", "message", "url"}), ("wrapped", {"code", "data", "message"})],
)
def test_an_upload_gives_a_link(start: Start, knob: str, keys: set[str]) -> None:
    """The documented answer has data.url; one beside it satisfies the official CLI."""
    api = start(knobs={"upload_form": knob})

    document = upload(api).json()

    url = document["data"]["url"]
    assert keys == set(document)
    assert (200, "success", url) == (
        document["code"],
        document["message"],
        document.get("url", url),
    )
    assert api.http.get(url).content == b"content"


def test_an_uploaded_video_can_be_upscaled(api: Api) -> None:
    """The link is a video URL like any other."""
    data = base64.b64encode(api.clip_bytes("64x64_10fps_1s.mp4")).decode()
    url = upload(api, data=data).json()["data"]["url"]

    assert api.create(url)["meta"]["usage"]["consume"] == 30000


def test_an_upload_vanishes_after_a_day(api: Api) -> None:
    """It is there to the last second."""
    url = upload(api).json()["data"]["url"]
    api.advance(86_399)
    assert api.http.get(url).status_code == 200

    api.advance(1)

    assert api.http.get(url).status_code == 404


@pytest.mark.parametrize(
    ("name", "kind", "served"),
    [
        ("a.jpg", "image/jpeg", "image/jpeg"),
        ("a.JPEG", "image/jpg", "image/jpeg"),
        ("a.png", "image/png", "image/png"),
        ("a.webp", "image/webp", "image/webp"),
        ("a.b.Mp4", "video/mp4", "video/mp4"),
        ("a.wav", "audio/x-wav", "audio/wav"),
        ("a.mp3", "audio/mpeg", "audio/mpeg"),
    ],
)
def test_seven_endings_are_taken_in_any_case(api: Api, name: str, kind: str, served: str) -> None:
    """A data URI's type must belong to the ending; the file is served under that type."""
    answer = upload(api, name, f"data:{kind};base64,{SMALL}")

    url = answer.json()["data"]["url"]
    assert served == api.http.get(url).headers["content-type"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (None, SMALL),
        ("", SMALL),
        (7, SMALL),
        ("clip", SMALL),
        ("clip.exe", SMALL),
        ("clip.mp4.exe", SMALL),
        ("x" * 125 + ".mp4", SMALL),
        ("clip.mp4", None),
        ("clip.mp4", ""),
        ("clip.mp4", 7),
        ("clip.mp4", "not base64"),
        ("clip.mp4", f"data:image/png;base64,{SMALL}"),
        ("clip.mp4", "data:video/mp4,content"),
        ("clip.mp4", "data:video/mp4;base64,"),
    ],
)
def test_bad_parameters_are_one_answer(api: Api, name: object, data: object) -> None:
    """Its error has no `data`, unlike those of the task service."""
    answer = upload(api, name, data)

    assert (answer.status_code, answer.json()) == (400, BAD)


def test_a_name_may_have_128_characters(api: Api) -> None:
    """The ending counts among them."""
    assert upload(api, "x" * 124 + ".mp4").status_code == 200


@pytest.mark.parametrize(("size", "status"), [(10_485_760, 200), (10_485_761, 400)])
def test_too_large_is_400_here(api: Api, size: int, status: int) -> None:
    """The same 10 MB give 413 in a create."""
    assert status == upload(api, data=base64.b64encode(bytes(size)).decode()).status_code


def test_a_body_that_is_not_read_is_400_too(api: Api) -> None:
    """Also above what is read of a request."""
    assert upload(api, data="A" * 15_728_640).json() == BAD


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'"text"'])
def test_a_body_that_is_no_object_is_refused(api: Api, content: bytes) -> None:
    """With the same answer."""
    answer = api.http.post(PATH, content=content, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()) == (400, BAD)


def test_without_room_for_files_the_service_fails(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload that cannot be kept is an error of the service, not of the caller."""
    monkeypatch.setattr(api.sim.registry.blobs, "_max_bytes", 1)

    answer = upload(api)

    assert (answer.status_code, answer.json()) == (
        507,
        {"code": 507, "message": "insufficient storage"},
    )


@pytest.mark.parametrize("plan", ["free", "free-capped"])
def test_the_free_plan_has_no_uploads(start: Start, plan: str) -> None:
    """Whatever is sent."""
    answer = upload(start(accounts={"piapi": {"plan": plan}}), None, None)

    assert (
        answer.status_code,
        answer.json(),
    ) == (403, {"code": 403, "message": "Insufficient plan level"})


def test_without_a_key_nothing_is_uploaded(api: Api) -> None:
    """401 in the form of the upload service."""
    del api.http.headers["x-api-key"]

    assert upload(api).json() == {"code": 401, "message": "unauthorized: invalid api key"}


def test_a_wrong_content_type_is_the_same_answer(api: Api) -> None:
    """The upload host has one text for every mistake."""
    answer = api.http.post(PATH, content=b"{}", headers={"content-type": "text/plain"})

    assert (400, BAD) == (answer.status_code, answer.json())
