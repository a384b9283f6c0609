"""Videos that stand on a server of this machine are fetched and measured."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.http.vicsee.conftest import Api, Start, refusal


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing about it."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called there
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path, api: Api) -> Iterator[str]:
    """Return the address of a real server with some files."""
    (tmp_path / "page.html").write_text("<!doctype html><title>No video</title>", "utf-8")
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name in ("clip.mp4", "clip.webm"):
        clip = api.http.get(api.clip(f"64x64_10fps_1.5s.{name.partition('.')[2]}")).content
        (tmp_path / name).write_bytes(clip)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_fetched_video_is_measured(api: Api, site: str) -> None:
    """The file decides the duration, which is rounded up for the bill."""
    data = api.tool(f"{site}/clip.mp4").json()["data"]

    assert (data["input"]["detected_duration"], data["creditsUsed"]) == ("1.5s", 32)


@pytest.mark.parametrize("name", ["gone.mp4", "page.html", "empty.mp4", "clip.webm"])
def test_urls_without_a_video_fail(api: Api, site: str, name: str) -> None:
    """A 404, a page, an empty file and WebM fail the probe."""
    assert refusal(api.tool(f"{site}/{name}")) == (422, "PROBE_FAILED")


def test_strict_urls_are_not_fetched(start: Start, site: str) -> None:
    """With the knob for public URLs, a server of this machine is not fetched."""
    api = start(knobs={"public_urls": "strict"})

    assert refusal(api.tool(f"{site}/clip.mp4")) == (422, "PROBE_FAILED")
