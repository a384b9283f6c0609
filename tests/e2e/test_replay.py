"""A session over a real socket, with curl: its export replays in another process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.e2e.conftest import Server

SUBMIT = "/vicsee/api/v1/tools/upscale-video"
WAVESPEED = "/wavespeed/api/v3/runwayml/upscale-v1"


@contextmanager
def refusing_receiver() -> Iterator[str]:
    """Give the address of a receiver of webhooks that answers 503."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(503)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


def curl(*arguments: str) -> str:
    """Return what curl prints; a connection that is cut is no failure here."""
    command = ["curl", "--silent", "--noproxy", "*", "--max-time", "30", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def posted(url: str, key: str, body: object) -> str:
    """Return what a POST of JSON with a key answers."""
    sent = ("-H", "Content-Type: application/json", "-d", json.dumps(body))
    return curl(url, "-H", f"Authorization: Bearer {key}", "-H", f"X-API-Key: {key}", *sent)


@pytest.mark.parametrize("clock", ["real", "auto", "manual", "scaled:20"])
def test_a_session_with_curl_replays(
    start_server: Callable[..., Server],
    require_tool: Callable[[str], str],
    tmp_path: Path,
    clock: str,
) -> None:
    """Jobs, polls, a dropped answer, a refusal, a webhook and a download, under each clock."""
    require_tool("curl")
    server = start_server("--clock", clock)
    base, box = server.base_url, f"{server.base_url}/__sim/sandboxes/default"
    clip = f"{base}/media/synthetic/160x120_10fps_2s.mp4"
    with refusing_receiver() as hook:
        made = json.loads(posted(base + SUBMIT, "sk-one", {"video_url": clip}))
        job = made["data"]["id"]
        posted(f"{base}{WAVESPEED}?webhook={hook}", "two", {"video": "https://x.example/a.mp4"})
        posted(base + SUBMIT, "sk-three", {"video_url": ""})
        drop = {"provider": "vicsee", "at": "poll", "first": 1, "do": "drop_connection"}
        server.admin("POST", "sandboxes/default/faults", drop)
        for _ in range(4):
            curl(f"{base}/vicsee/api/v1/tasks/{job}", "-H", "Authorization: Bearer sk-one")
        if clock != "real":
            server.admin("POST", "sandboxes/default/clock/advance", {"seconds": 120})
        curl(f"{base}/vicsee/api/v1/tasks/{job}", "-H", "Authorization: Bearer sk-one")
        curl(f"{base}/media/outputs/{job}.mp4", "-o", str(tmp_path / "output.mp4"))
        file = tmp_path / "session.json"
        curl(f"{box}/export", "-o", str(file))
    command = [sys.executable, "-m", "upsim", "replay", str(file), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)

    assert ([], None, 0) == (found["differences"], found["stopped"], done.returncode)
    assert found["compared"] >= 10
    assert "sk-one" not in file.read_text("utf-8")
