"""Events over a real socket: curl reads along, and nothing holds up the end of the server."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Server, running

PATIENCE = 300
VIDEO = {"video_url": "https://clips.example/v.mp4?sig=canary"}


def submit(server: Server) -> None:
    """Submit a video."""
    url = f"{server.base_url}/vicsee/api/v1/tools/upscale-video"
    headers = {"authorization": "Bearer sk-any"}
    assert server.http.post(url, headers=headers, json=VIDEO).status_code == 200


def wait_for(file: Path, text: str) -> str:
    """Return what a file holds once a text is in it."""
    deadline = time.monotonic() + PATIENCE
    while text not in (found := file.read_text() if file.exists() else ""):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def test_curl_reads_until_the_server_ends(tmp_path: Path) -> None:
    """Without polls, the stream shows the end of the job; Ctrl-C ends it with a last event."""
    file = tmp_path / "events.txt"
    with running(tmp_path, "--pace", "1000", "--seed", "1") as server:
        url = f"{server.base_url}/__sim/sandboxes/default/events"
        with (
            file.open("wb") as output,
            subprocess.Popen(["curl", "-sN", url], stdout=output) as curl,
        ):
            wait_for(file, "events of sandbox default")
            submit(server)
            wait_for(file, '"state":"completed"')
            os.kill(server.pid, signal.SIGINT)
            assert curl.wait(PATIENCE) == 0
    text = wait_for(file, "event: end")

    assert 'data: {"reason":"the server stops"}' in text
    assert "canary" not in text


def test_curl_continues_after_its_last_event(tmp_path: Path) -> None:
    """With the id of the last event, a second connection gets the later events."""
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    with running(tmp_path, "--clock", "manual") as server:
        command = ["curl", "-sN", f"{server.base_url}/__sim/sandboxes/default/events"]
        with first.open("wb") as output, subprocess.Popen(command, stdout=output) as curl:
            wait_for(first, "events of sandbox default")
            submit(server)
            text = wait_for(first, "event: exchange")
            curl.kill()
        submit(server)
        last = [line for line in text.splitlines() if line.startswith("id: ")][-1][4:]
        command += ["-H", f"Last-Event-ID: {last}"]
        with second.open("wb") as output, subprocess.Popen(command, stdout=output) as curl:
            wait_for(second, "event: exchange")
            curl.kill()
    names = [line for line in second.read_text().splitlines() if line.startswith("event: ")]
    assert ["event: job.accepted", "event: ledger.entry", "event: exchange"] == names


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://other.example"}, 401),
        ({"X-Forwarded-For": "10.0.0.1"}, 401),
    ],
)
def test_the_token_rule_applies_to_streams(
    server: Server, headers: dict[str, str], status: int
) -> None:
    """A page of this server may read streams, and a page of another site may not."""
    url = f"{server.base_url}/__sim/sandboxes/default/events"
    asked = {"Accept": "text/event-stream", **headers}
    with server.http.stream("GET", url, headers=asked) as answer:
        assert status == answer.status_code


def test_the_token_opens_a_stream(server: Server) -> None:
    """A request with the token may come from anywhere."""
    url = f"{server.base_url}/__sim/sandboxes/default/events"
    asked = {"X-Forwarded-For": "10.0.0.1", "Authorization": f"Bearer {server.admin_token}"}
    with server.http.stream("GET", url, headers=asked) as answer:
        assert b"retry: 1000" in next(answer.iter_raw())
