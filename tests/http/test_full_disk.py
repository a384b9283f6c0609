"""A disk that is full: a refusal in the provider's form, nothing left behind, and no bug told."""

from __future__ import annotations

import base64
import errno
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import httpx

    from tests.http.conftest import Admin

FORM = "/wavespeed/api/v3/media/upload/binary"
TICKET = "/wavespeed/api/v3/media/uploads"
LARGE = 6_000_000


def fill(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full from now on."""

    def full() -> IO[bytes]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(admin.sim.registry.blobs, "open_part", full)


def by_form(admin: Admin, size: int) -> httpx.Response:
    """Upload to WaveSpeed in one call."""
    return admin.http.post(FORM, headers=KEY, files={"file": ("a.mp4", bytes(size), "video/mp4")})


def by_json(admin: Admin, size: int) -> httpx.Response:
    """Upload to PiAPI in one call."""
    sent = {"file_name": "a.mp4", "file_data": base64.b64encode(bytes(size)).decode()}
    return admin.http.post("/piapi/api/ephemeral_resource", headers=KEY, json=sent)


KEY = {"Authorization": "Bearer k", "x-api-key": "k"}
SAYS: dict[Callable[[Admin, int], httpx.Response], dict[str, object]] = {
    by_form: {"code": 507, "message": "Insufficient Storage"},
    by_json: {"code": 507, "message": "insufficient storage"},
}


@pytest.mark.parametrize("size", [10, LARGE])
@pytest.mark.parametrize("upload", [by_form, by_json])
def test_an_upload_is_refused_in_the_form_of_the_provider(
    admin: Admin,
    monkeypatch: pytest.MonkeyPatch,
    upload: Callable[[Admin, int], httpx.Response],
    size: int,
) -> None:
    """A refused upload leaves no ticket and no file; it is accepted once there is room."""
    with monkeypatch.context() as patched:
        fill(admin, patched)
        answer = upload(admin, size)
        assert (507, SAYS[upload]) == (answer.status_code, answer.json())
        assert ({}, 0) == (admin.sim.sandbox.state.uploads, admin.sim.registry.crashes)
    assert 200 == upload(admin, size).status_code


def test_a_refused_put_keeps_its_ticket(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same PUT can be sent again later."""
    asked = {"filename": "a.mp4", "size": LARGE, "content_type": "video/mp4"}
    ticket = admin.http.post(TICKET, headers=KEY, json=asked).json()["data"]["upload"]
    with monkeypatch.context() as patched:
        fill(admin, patched)
        pieces = (bytes(LARGE // 3) for _ in range(3))
        refused = admin.http.put(ticket["url"], content=pieces, headers=ticket["headers"])
        assert (507, True) == (refused.status_code, "No space left" in refused.text)
    taken = admin.http.put(ticket["url"], content=bytes(LARGE), headers=ticket["headers"])
    assert (200, 0) == (taken.status_code, admin.sim.registry.crashes)


def test_a_job_with_its_video_is_accepted(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A video in the request is measured in memory, even if the disk is full."""
    clip = admin.http.get("/media/synthetic/64x64_10fps_1s.mp4").content
    fill(admin, monkeypatch)
    url = f"data:video/mp4;base64,{base64.b64encode(clip).decode()}"
    sent = {"model": "topaz-video-upscale", "video_url": url, "upscale_factor": 2}
    answer = admin.http.post("/venice/api/v1/video/queue", headers=KEY, json=sent)
    assert (200, 1) == (answer.status_code, len(admin.sim.sandbox.state.jobs))


def test_a_large_clip_is_refused(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A generated file without room on the disk is a 507 too."""
    fill(admin, monkeypatch)
    answer = admin.http.get("/media/synthetic/64x64_10fps_1s.mp4?bytes=30000000")
    assert (507, 0) == (answer.status_code, admin.sim.registry.crashes)


@pytest.mark.parametrize(("upload", "status"), [(by_form, 503), (by_json, 500)])
def test_a_file_that_is_removed_at_once_is_no_bug(
    admin: Admin,
    monkeypatch: pytest.MonkeyPatch,
    upload: Callable[[Admin, int], httpx.Response],
    status: int,
) -> None:
    """If other files take its room, the upload gets a service error that is no crash."""
    monkeypatch.setattr(admin.sim.registry.blobs, "hold", lambda _digest: False)
    assert (status, 0) == (upload(admin, 10).status_code, admin.sim.registry.crashes)
