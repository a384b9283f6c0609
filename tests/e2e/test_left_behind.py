"""What is left behind when a server, or its caller, goes in the middle of something."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.conftest import Server, running

WAIT_SECONDS = 300


def until(ready: Callable[[], object]) -> None:
    """Return once something holds."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def finished(server: Server, video: str, **inputs: object) -> str:
    """Upscale a video and return the address of the result."""
    base = f"{server.base_url}/wavespeed/api/v3"
    headers = {"Authorization": "Bearer key"}
    body = {"video": video, **inputs}
    url = f"{base}/wavespeed-ai/video-upscaler"
    job = server.http.post(url, json=body, headers=headers).json()["data"]["id"]
    found: dict[str, Any] = {}
    while found.get("status") != "completed":
        answer = server.http.get(f"{base}/predictions/{job}/result", headers=headers)
        found = answer.json()["data"]
    output: str = found["outputs"][0]
    return output


def download(url: str) -> None:
    """Begin a download that the end of the server cuts off."""
    try:
        httpx.get(url, timeout=WAIT_SECONDS, trust_env=False)
    except httpx.HTTPError:
        return


def test_a_server_that_ends_during_a_render_leaves_nothing(tmp_path: Path) -> None:
    """The partial file and all other files are gone with the server."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    options = ("--clock", "auto", "--render", "resample")
    with running(tmp_path, *options, TMPDIR=str(folder)) as server:
        url = finished(server, server.clip("640x360", "30", "120"), target_resolution="720p")
        thread = threading.Thread(target=download, args=(url,), daemon=True)
        thread.start()
        until(lambda: any(part.stat().st_size > 48 for part in folder.glob("*/part-*")))
    thread.join()
    assert [] == list(folder.iterdir())


def test_a_broken_download_keeps_the_file(server: Server) -> None:
    """A file that is deleted after its download stays if the download is cut."""
    base = f"{server.base_url}/venice/api/v1/video"
    headers = {"Authorization": "Bearer key"}
    video = server.clip("1920x1080", "60", "300")
    body = {"model": "topaz-video-upscale", "video_url": video}
    job = server.http.post(f"{base}/queue", json=body, headers=headers).json()["queue_id"]
    asked = {"queue_id": job, "delete_media_on_completion": True}  # no model: JSON with a URL
    found: dict[str, Any] = {}
    while "url" not in found:
        found = server.http.post(f"{base}/retrieve", json=asked, headers=headers).json()
    url = httpx.URL(found["url"])
    with socket.create_connection((url.host, url.port or 80)) as connection:
        connection.sendall(
            f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc.decode()}\r\n\r\n".encode()
        )
        connection.recv(1_000)
    time.sleep(0.5)
    assert server.http.head(url).status_code == 200
