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
def test_an_upload_returns_a_link(start: Start, knob: str, keys: set[str]) -> None:
    """An upload returns the documented `data.url`; `upload_form` can add `url` beside it."""
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
    """The link of an uploaded file works as the video URL of a task."""
    data = base64.b64encode(api.clip_bytes("64x64_10fps_1s.mp4")).decode()
    url = upload(api, data=data).json()["data"]["url"]

    assert api.create(url)["meta"]["usage"]["consume"] == 30000


def test_an_uploaded_file_expires_after_a_day(api: Api) -> None:
    """An uploaded file can be downloaded for 24 hours; then its link returns a 404."""
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
def test_seven_file_extensions_are_accepted_in_any_case(
    api: Api, name: str, kind: str, served: str
) -> None:
    """The seven documented extensions are accepted in any case, with a matching data URI type.

    The file is served with the type of its extension.
    """
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
def test_an_invalid_parameter_gets_the_one_400_of_the_upload_service(
    api: Api, name: object, data: object
) -> None:
    """Each invalid file name or file data gets the same 400, without `data`."""
    answer = upload(api, name, data)

    assert (answer.status_code, answer.json()) == (400, BAD)


def test_a_file_name_can_have_128_characters(api: Api) -> None:
    """A file name of 128 characters, with its extension, is accepted."""
    assert upload(api, "x" * 124 + ".mp4").status_code == 200


@pytest.mark.parametrize(("size", "status"), [(10_485_760, 200), (10_485_761, 400)])
def test_an_upload_above_the_size_limit_is_a_400(api: Api, size: int, status: int) -> None:
    """An upload above 10 MiB gets a 400 (a create with such a file gets a 413)."""
    assert status == upload(api, data=base64.b64encode(bytes(size)).decode()).status_code


def test_an_oversized_upload_body_is_a_400(api: Api) -> None:
    """An upload body that is too large to be read gets the same 400 as an invalid parameter."""
    assert upload(api, data="A" * 15_728_640).json() == BAD


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'"text"'])
def test_an_upload_without_a_json_object_is_refused(api: Api, content: bytes) -> None:
    """An upload whose body is no JSON object gets the same 400 as an invalid parameter."""
    answer = api.http.post(PATH, content=content, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()) == (400, BAD)


def test_an_upload_without_free_storage_is_a_507(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the file store is full, an upload gets a 507."""
    monkeypatch.setattr(api.sim.registry.blobs, "_max_bytes", 1)

    answer = upload(api)

    assert (answer.status_code, answer.json()) == (
        507,
        {"code": 507, "message": "insufficient storage"},
    )


@pytest.mark.parametrize("plan", ["free", "free-capped"])
def test_the_free_plan_has_no_uploads(start: Start, plan: str) -> None:
    """An account with a free plan gets a 403 for any upload, even an invalid one."""
    answer = upload(start(accounts={"piapi": {"plan": plan}}), None, None)

    assert (
        answer.status_code,
        answer.json(),
    ) == (403, {"code": 403, "message": "Insufficient plan level"})


def test_an_upload_without_a_key_is_refused(api: Api) -> None:
    """An upload without a key gets a 401 in the form of the upload service."""
    del api.http.headers["x-api-key"]

    assert upload(api).json() == {"code": 401, "message": "unauthorized: invalid api key"}


def test_an_upload_with_a_wrong_content_type_is_refused(api: Api) -> None:
    """An upload with a wrong content type gets the same 400 as an invalid parameter."""
    answer = api.http.post(PATH, content=b"{}", headers={"content-type": "text/plain"})

    assert (400, BAD) == (answer.status_code, answer.json())
