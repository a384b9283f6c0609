"""What a refused request carried is deleted: nothing of it stays in the store, or on the disk."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from upsim import Simulator

CLIP = "/media/synthetic/64x64_1fps_301s_silent.mp4"
KEY = {"Authorization": "Bearer k", "x-api-key": "k"}
Send = Callable[[httpx.Client, bytes], httpx.Response]


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """Return a simulator."""
    with Simulator(clock="manual") as sim:
        yield sim


def files(sim: Simulator) -> list[tuple[str, int]]:
    """Return name and size of every file in the store's folder, but for its lock."""
    folder = sim.registry.blobs._home()
    return [(at.name, size) for at in folder.iterdir() if (size := at.stat().st_size)]


def form(name: str, kind: str, path: str = "/wavespeed/api/v3/media/upload/binary") -> Send:
    """Upload by form."""
    return lambda http, data: http.post(path, files={"file": (name, data, kind)}, headers=KEY)


def encoded(name: str, media_type: str = "") -> Send:
    """Upload to PiAPI in base64."""
    return lambda http, data: http.post(
        "/piapi/api/ephemeral_resource",
        json={"file_name": name, "file_data": media_type + base64.b64encode(data).decode()},
        headers=KEY,
    )


def ticket(http: httpx.Client, size: int) -> Callable[[bytes], httpx.Response]:
    """Get a ticket for a file; return what uploads to it."""
    sent = {"filename": "a.mp4", "size": size, "content_type": "video/mp4"}
    answer = http.post("/wavespeed/api/v3/media/uploads", json=sent, headers=KEY)
    found = answer.json()["data"]["upload"]
    return lambda data: http.put(found["url"], content=data, headers=found["headers"])


def late(http: httpx.Client, data: bytes) -> httpx.Response:
    """Upload twice to the same ticket: other bytes the second time."""
    put = ticket(http, len(data))
    assert put(bytes(len(data))).status_code == 200
    return put(data)


def long(http: httpx.Client, data: bytes) -> httpx.Response:
    """Upload more than a ticket announced."""
    return ticket(http, 1)(data)


def submit(path: str, **sent: Any) -> Send:  # noqa: ANN401
    """Submit a video as a data URL."""

    def send(http: httpx.Client, data: bytes) -> httpx.Response:
        url = "data:video/mp4;base64," + base64.b64encode(data).decode()
        return http.post(path, json={**sent, "video_url": url}, headers=KEY)

    return send


VENICE = {"model": "topaz-video-upscale", "upscale_factor": 2}
REFUSED: dict[str, tuple[Send, int]] = {
    "a form of another kind": (form("a.txt", "text/plain"), 400),
    "a form to another path": (form("a.mp4", "video/mp4", "/wavespeed/api/v3/media/uploads"), 400),
    "base64 of another kind": (encoded("a.exe"), 400),
    "base64 of another type": (encoded("a.mp4", "data:image/png;base64,"), 400),
    "a second file": (late, 412),
    "a file that is too long": (long, 400),
    "a video that is too long": (submit("/venice/api/v1/video/queue", **VENICE), 422),
    "a quote that is refused": (submit("/venice/api/v1/video/quote", **VENICE), 400),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_file_is_deleted(sim: Simulator, case: str) -> None:
    """The store counts no byte of a refused file, and its folder has none."""
    send, status = REFUSED[case]
    base = sim.base_url("wavespeed").removesuffix("/wavespeed")
    with httpx.Client(transport=sim.transport(), base_url=base) as http:
        data = http.get(CLIP).content
        answer = send(http, data)
        kept = [len(data)] if case == "a second file" else []
        found = [size for _, size in files(sim)]
    assert (status, kept, sum(kept)) == (answer.status_code, found, sim.registry.blobs.size)
