"""Uploading: a ticket and a PUT, or one form; what is taken, what is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from tests.http.wavespeed.conftest import Api, Start

CLIP = "http://upsim.test/media/synthetic/320x240_10fps_6s.mp4"
UPSCALE_V1 = "runwayml/upscale-v1"
FORM = "/api/v3/media/upload/binary"
NO_FORM = "multipart/form-data with one part named file is required"
UNSUPPORTED = "the file type is not supported"


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return status and text of an error envelope, which has no data."""
    body = answer.json()
    assert set(body) == {"code", "message"}
    assert body["code"] == answer.status_code
    return answer.status_code, body["message"]


def put(api: Api, ticket: dict[str, Any], content: bytes) -> httpx.Response:
    """Upload to a ticket as the clients do: its method, its headers, no key."""
    headers = {"Authorization": "", **ticket["headers"]}
    return api.http.request(ticket["method"], ticket["url"], content=content, headers=headers)


def test_a_ticket_says_how_to_upload(api: Api) -> None:
    """An upload ticket names the file, its later URL and the PUT request that uploads it."""
    asked = {"filename": "clip.mp4", "size": 5000, "content_type": "video/mp4"}
    answer = api.post("media/uploads", asked)
    data = answer.json()["data"]
    upload, where = data.pop("upload"), data["download_url"]
    url = upload.pop("url")

    assert answer.status_code == 200
    assert data == {"type": "video", "download_url": where, "filename": "clip.mp4", "size": 5000}
    assert where.startswith("http://upsim.test/media/uploads/")
    assert where.endswith("/clip.mp4")
    assert url.startswith(f"{where}?sig=")
    assert upload == {
        "method": "PUT",
        "headers": {"Content-Type": "video/mp4", "If-None-Match": "*"},
        "expires_at": "2026-01-01T01:00:00Z",
    }


def test_an_uploaded_file_is_measured_and_billed_by_its_content(api: Api) -> None:
    """A submit of an uploaded six-second clip is charged for six seconds."""
    content = api.http.get(CLIP).content
    data = api.post("media/uploads", {"filename": "clip.mp4", "size": len(content)}).json()["data"]
    stored = put(api, data["upload"], content)
    api.submit(UPSCALE_V1, video=data["download_url"])

    assert stored.is_success
    assert api.http.get(data["download_url"], headers={"Authorization": ""}).content == content
    assert Decimal("0.12") == 100 - api.balance
    assert api.kinds == ["charge"]


def test_a_form_uploads_at_once(api: Api) -> None:
    """The older upload call accepts the file as the form part `file`."""
    content = api.http.get(CLIP).content
    answer = api.http.post(FORM, files={"file": ("clip.mp4", content, "video/mp4")})
    data = answer.json()["data"]
    api.submit(UPSCALE_V1, video=data["download_url"])

    assert answer.status_code == 200
    assert list(data) == ["type", "download_url", "filename", "size"]
    assert (data["type"], data["filename"], data["size"]) == ("video", "clip.mp4", len(content))
    assert api.http.get(data["download_url"], headers={"Authorization": ""}).content == content
    assert Decimal("0.12") == 100 - api.balance


@pytest.mark.parametrize(
    ("name", "content_type", "kind", "expected"),
    [
        ("clip.mp4", None, "video", "video/mp4"),
        ("a/b/CLIP.MKV", None, "video", "video/x-matroska"),
        ("C:\\clips\\clip.3gp", "application/octet-stream", "video", "video/3gpp"),
        ("still.jpeg", None, "image", "image/jpeg"),
        ("song.mp3", "", "audio", "audio/mpeg"),
        ("clip", "Video/QuickTime; codecs=x", "video", "video/quicktime"),
        ("upload", None, "video", "application/octet-stream"),
        (".mp4", None, "video", "application/octet-stream"),
        ("..", "image/x-odd", "image", "image/x-odd"),
    ],
)
def test_the_file_kind_follows_from_type_or_extension(
    api: Api, name: str, content_type: str | None, kind: str, expected: str
) -> None:
    """The content type decides the kind of a file, then its extension; the default is video."""
    body = {"filename": name, "size": 1, "content_type": content_type}
    data = api.post("media/uploads", body).json()["data"]

    assert data["type"] == kind
    assert data["upload"]["headers"]["Content-Type"] == expected


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 400, 'property "filename" is missing'),
        ({"filename": "", "size": 1}, 400, 'property "filename" is missing'),
        ({"filename": 7, "size": 1}, 400, "filename must be a string"),
        ({"filename": "a.mp4"}, 400, 'property "size" is missing'),
        ({"filename": "a.mp4", "size": "1"}, 400, "size must be an integer"),
        ({"filename": "a.mp4", "size": 1.5}, 400, "size must be an integer"),
        ({"filename": "a.mp4", "size": True}, 400, "size must be an integer"),
        ({"filename": "a.mp4", "size": -1}, 400, "size must be at least 0"),
        ({"filename": "a.mp4", "size": 1, "content_type": 1}, 400, "content_type must be a string"),
        ({"filename": "a.txt", "size": 1}, 400, UNSUPPORTED),
        ({"filename": "a.mp4", "size": 1, "content_type": "text/plain"}, 400, UNSUPPORTED),
        ({"filename": "a.mp4", "size": 1, "content_type": "video/\r\nx"}, 400, UNSUPPORTED),
        ({"filename": "a.txt", "size": 209_715_201}, 400, UNSUPPORTED),
        ({"filename": "a.mp4", "size": 209_715_201}, 413, "file is larger than 209715200 bytes"),
        ({"filename": "a.mp4", "size": 10**399}, 413, "file is larger than 209715200 bytes"),
    ],
)
def test_bad_tickets_are_refused_in_order(
    api: Api, body: dict[str, object], status: int, text: str
) -> None:
    """A ticket request is checked in order: its fields, the kind of file, then the file size."""
    assert refusal(api.post("media/uploads", body)) == (status, text)


def test_a_ticket_takes_one_file_of_the_announced_size_in_time(api: Api) -> None:
    """A wrong size gets a 400, a wrong signature or a late PUT a 403, a second PUT a 412."""
    first, second = (
        api.post("media/uploads", {"filename": "a.mp4", "size": 3}).json()["data"]["upload"]
        for _ in range(2)
    )
    forged = {**first, "url": first["url"] + "0"}
    attempts = [(first, b"four"), (forged, b"abc"), (first, b"abc"), (first, b"abc")]
    answers = [put(api, ticket, content) for ticket, content in attempts]
    api.sim.advance(3600)
    answers.append(put(api, second, b"abc"))

    assert [answer.status_code for answer in answers] == [400, 403, 200, 412, 403]
    assert [answer.text for answer in answers] == [
        "The body has more than 3 bytes, 3 were announced",
        "Signature does not match",
        "",
        "Precondition Failed",
        "Request has expired",
    ]


def test_uploads_live_seven_days(api: Api) -> None:
    """A week after the upload the file is gone."""
    data = api.http.post(FORM, files={"file": ("a.mp4", b"abc")}).json()["data"]
    api.sim.advance(7 * 86_400 - 1)
    before = api.http.get(data["download_url"]).status_code
    api.sim.advance(2)

    assert before == 200
    assert api.http.get(data["download_url"]).status_code == 404


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"json": {"file": "x"}}, NO_FORM),
        ({"content": b"x"}, NO_FORM),
        ({"files": {"video": ("a.mp4", b"x")}}, NO_FORM),
        ({"files": {"file": ("a.mp4", b"")}}, NO_FORM),
        ({"files": {"file": ("a.txt", b"x")}}, UNSUPPORTED),
    ],
)
def test_bad_forms_are_refused(api: Api, form: dict[str, Any], text: str) -> None:
    """An upload gets a 400 without a form, with another part, or with an unsupported file."""
    assert refusal(api.http.post(FORM, **form)) == (400, text)


def test_a_form_may_be_larger_than_other_bodies_but_not_endless(api: Api) -> None:
    """A 2 MB form upload is accepted; one that announces more than 300 MB is not read."""
    taken = api.http.post(FORM, files={"file": ("a.mp4", bytes(2_000_000))})
    announced = api.http.post(FORM, content=b"x", headers={"Content-Length": "314572801"})

    assert taken.status_code == 200
    assert refusal(announced) == (413, "file is larger than 314572800 bytes")


def test_a_full_store_is_unavailable(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the simulator has no room for a file, it returns a 507 in the provider's format."""
    monkeypatch.setattr(api.sim.registry.blobs, "_max_bytes", 1)
    answer = api.http.post(FORM, files={"file": ("a.mp4", b"abc")})

    assert refusal(answer) == (507, "Insufficient Storage")


@pytest.mark.parametrize("path", ["media/uploads", "media/upload/binary"])
def test_uploads_need_a_key(api: Api, path: str) -> None:
    """Both ways to upload a file require a key."""
    answer = api.post(path, {}, headers={"Authorization": ""})

    assert refusal(answer) == (401, "invalid authentication")


def test_uploads_are_free(start: Start) -> None:
    """An account with an empty balance can upload a file."""
    api = start(account={"balance": "0"})

    assert api.post("media/uploads", {"filename": "a.mp4", "size": 3}).status_code == 200
    assert api.kinds == []
