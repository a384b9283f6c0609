"""Uploads: a ticket, a PUT without a key, and a public address that can be upscaled."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.http.vicsee.conftest import Api, Start, message, refusal

UPLOAD = "/api/v1/upload"
MP4 = "video/mp4"


def ticket(api: Api, kind: str, size: float) -> dict[str, Any]:
    """Return a ticket for one file."""
    answer = api.http.post(UPLOAD, json={"contentType": kind, "sizeBytes": size})
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def put(api: Api, url: str, content: bytes, kind: str = MP4) -> httpx.Response:
    """Send a file as the client does: without a key."""
    with httpx.Client(transport=api.sim.transport()) as http:
        return http.put(url, content=content, headers={"Content-Type": kind})


def test_a_ticket(api: Api) -> None:
    """A ticket has the upload URL, the later URL of the file, its key and its expiry."""
    found = ticket(api, MP4, 1234)

    assert list(found) == ["uploadUrl", "publicUrl", "key", "expiresAt"]
    assert found["uploadUrl"].startswith(found["publicUrl"] + "?")
    assert found["publicUrl"] == f"http://upsim.test/media/{found['key']}"
    assert found["expiresAt"] == "2026-01-01T01:00:00.000Z"


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_an_uploaded_video_can_be_upscaled(api: Api, container: str) -> None:
    """An uploaded file is measured by its content when it is upscaled."""
    clip = api.http.get(api.clip(f"64x64_10fps_4.5s.{container}")).content
    found = ticket(api, MP4, len(clip))
    sent = put(api, found["uploadUrl"], clip)

    answer = api.tool(found["publicUrl"])

    assert sent.is_success
    assert answer.json()["data"]["creditsUsed"] == 80


def test_an_uploaded_file_is_public(api: Api) -> None:
    """The public URL returns the bytes and their type without a key."""
    found = ticket(api, "image/png", 4)
    put(api, found["uploadUrl"], b"\x89PNG", "image/png")

    with httpx.Client(transport=api.sim.transport()) as http:
        answer = http.get(found["publicUrl"])

    assert (answer.content, answer.headers["content-type"]) == (b"\x89PNG", "image/png")


def test_a_ticket_without_a_file(api: Api) -> None:
    """The public URL of a ticket without a file cannot be probed."""
    assert refusal(api.tool(ticket(api, MP4, 9)["publicUrl"])) == (422, "PROBE_FAILED")


@pytest.mark.parametrize(
    "kind", ["video/x-matroska", "text/html", "VIDEO/MP4", "", None, 7, ["video/mp4"]]
)
def test_other_types_are_refused(api: Api, kind: object) -> None:
    """Types outside the client's list are refused, Matroska among them."""
    answer = api.http.post(UPLOAD, json={"contentType": kind, "sizeBytes": 9})

    assert refusal(answer) == (400, "INVALID_CONTENT_TYPE")


@pytest.mark.parametrize("size", [0, -1, 1.5, "9", None, True, 104_857_601, 10**400])
def test_other_sizes_are_refused(api: Api, size: object) -> None:
    """A size that is no whole number from 1 byte to 100 MiB is refused."""
    answer = api.http.post(UPLOAD, json={"contentType": MP4, "sizeBytes": size})

    assert refusal(answer) == (400, "INVALID_SIZE")
    assert message(answer) == "sizeBytes must be a whole number from 1 to 104857600"


@pytest.mark.parametrize(
    ("kind", "size", "status"),
    [
        (MP4, 104_857_600, 200),
        (MP4, 1234.0, 200),
        ("video/quicktime", 104_857_600, 200),
        ("image/jpeg", 20_971_520, 200),
        ("image/jpeg", 20_971_521, 400),
        ("audio/mpeg", 20_971_521, 400),
    ],
)
def test_the_largest_files(api: Api, kind: str, size: float, status: int) -> None:
    """Videos may have 100 MiB, images and audio 20 MiB."""
    answer = api.http.post(UPLOAD, json={"contentType": kind, "sizeBytes": size})

    assert answer.status_code == status


@pytest.mark.parametrize("content", [b"12345678", b"1234567890"])
def test_a_file_of_another_size_is_refused(api: Api, content: bytes) -> None:
    """A file without the announced size is not kept."""
    found = ticket(api, MP4, 9)

    assert put(api, found["uploadUrl"], content).status_code == 400
    assert api.http.get(found["publicUrl"]).status_code == 404


def test_a_ticket_is_used_once(api: Api) -> None:
    """A second file for one ticket is refused."""
    found = ticket(api, MP4, 9)
    put(api, found["uploadUrl"], b"123456789")

    assert put(api, found["uploadUrl"], b"987654321").status_code == 412


def test_an_upload_with_a_wrong_signature_is_refused(api: Api) -> None:
    """A PUT to the upload URL without a valid signature is refused."""
    assert put(api, ticket(api, MP4, 9)["publicUrl"], b"123456789").status_code == 403


def test_an_upload_ticket_expires_after_an_hour(api: Api) -> None:
    """One hour after its creation, an upload ticket accepts no file."""
    found = ticket(api, MP4, 9)
    api.sim.advance(3_600)

    assert put(api, found["uploadUrl"], b"123456789").status_code == 403


def test_uploads_are_kept(api: Api) -> None:
    """VicSee documents no retention, so an uploaded file still exists after a year."""
    found = ticket(api, MP4, 9)
    put(api, found["uploadUrl"], b"123456789")
    api.sim.advance(365 * 86_400)

    assert api.http.get(found["publicUrl"]).content == b"123456789"


def test_a_ticket_request_without_a_json_object_is_refused(api: Api) -> None:
    """A request for an upload ticket is refused if its body is not a JSON object."""
    assert refusal(api.http.post(UPLOAD, content=b"[]")) == (400, "INVALID_JSON")


def test_an_upload_costs_nothing(start: Start) -> None:
    """A request for an upload ticket costs no credits."""
    api = start(account={"balance": "0"})

    assert ticket(api, MP4, 9)["key"].startswith("uploads/")
