"""Faults over a real socket: closed, reset and half-sent connections are really so."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Sandbox, Server

SUBMIT = "/vicsee/api/v1/tools/upscale-video"
VIDEO = {"video_url": "https://clips.example/8.mp4"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What came over a connection until it ended, and how it ended."""

    data: bytes
    end: str

    @property
    def body(self) -> bytes:
        """Return what came after the head."""
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def announced(self) -> int:
        """Return the length that the head announces."""
        match = re.search(rb"content-length: (\d+)", self.data)
        assert match is not None, self.data
        return int(match[1])


def seen(box: Sandbox, method: str, path: str, body: object = None) -> Seen:
    """Send one request over a raw socket and look until the connection ends."""
    url = httpx.URL(box.server.base_url)
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nhost: {url.host}:{url.port}\r\n"
        f"authorization: Bearer {box.keys['vicsee']}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(content)}\r\n\r\n"
    )
    parts: list[bytes] = []
    with socket.create_connection((url.host, url.port), timeout=300) as wire:
        wire.sendall(head.encode() + content)
        while True:
            try:
                part = wire.recv(65_536)
            except ConnectionResetError:
                return Seen(b"".join(parts), "RST")
            if not part:
                return Seen(b"".join(parts), "FIN")
            parts.append(part)


def arm(box: Sandbox, **fault: object) -> None:
    """Arm a fault of VicSee."""
    path = f"sandboxes/{box.id}/faults"
    box.server.admin("POST", path, {"provider": "vicsee", **fault})


def job(box: Sandbox) -> str:
    """Return the id of an accepted job."""
    headers = {"authorization": f"Bearer {box.keys['vicsee']}"}
    answer = box.server.http.post(box.server.base_url + SUBMIT, json=VIDEO, headers=headers)
    found: str = answer.json()["data"]["id"]
    return found


@pytest.mark.parametrize(("do", "end"), [("drop_connection", "FIN"), ("reset_connection", "RST")])
@pytest.mark.parametrize(("stage", "charges"), [("before_accept", 0), ("after_accept", 1)])
def test_a_response_is_lost(sandbox: Sandbox, do: str, end: str, stage: str, charges: int) -> None:
    """No byte arrives, the connection ends as the fault says, and the ledger fits the stage."""
    arm(sandbox, at=stage, do=do)
    found = seen(sandbox, "POST", SUBMIT, VIDEO)
    assert (Seen(b"", end), charges) == (found, len(sandbox.charges("vicsee")))


@pytest.mark.parametrize(
    ("do", "end"),
    [("drop_connection", "FIN"), ("reset_connection", "RST"), ({"truncate": "50%"}, "FIN")],
)
def test_half_a_body_arrives(sandbox: Sandbox, do: object, end: str) -> None:
    """The head announces the whole body, half of it arrives, and the connection ends."""
    name = job(sandbox)
    arm(sandbox, at="mid_body", do=do)
    found = seen(sandbox, "GET", f"/vicsee/api/v1/tasks/{name}")
    assert (found.announced // 2, end) == (len(found.body), found.end)


def test_a_download_is_cut(sandbox: Sandbox) -> None:
    """An output ends after the given number of bytes."""
    name = job(sandbox)
    path = f"sandboxes/{sandbox.id}/clock/advance"
    sandbox.server.admin("POST", path, {"to": "idle"})
    arm(sandbox, at="download", do={"truncate": 5000})
    found = seen(sandbox, "GET", f"/sandbox/{sandbox.id}/media/outputs/{name}.mp4")
    assert (5000, "FIN") == (len(found.body), found.end)


def test_a_trickled_body_arrives_completely(sandbox: Sandbox) -> None:
    """Every kind of client reads the pieces as one response."""
    name = job(sandbox)
    arm(sandbox, at="poll", do={"trickle": {"chunk": 50, "pause": {"real": "1ms"}}})
    headers = {"authorization": f"Bearer {sandbox.keys['vicsee']}"}
    url = f"{sandbox.server.base_url}/vicsee/api/v1/tasks/{name}"
    assert name == sandbox.server.http.get(url, headers=headers).json()["data"]["id"]


def test_a_delay_on_a_real_clock_delays(make_sandbox: Callable[..., Sandbox]) -> None:
    """The first byte arrives after the delay."""
    box = make_sandbox(clock="real")
    arm(box, at="after_accept", do={"delay": "200ms"})
    started = time.monotonic()
    job(box)
    assert 0.2 <= time.monotonic() - started


def test_a_manual_clock_holds_a_delayed_response(make_sandbox: Callable[..., Sandbox]) -> None:
    """The response arrives once the clock has been advanced."""
    box = make_sandbox(clock="manual")
    arm(box, at="before_accept", do={"delay": "1h"})
    url = httpx.URL(box.server.base_url)
    content = json.dumps(VIDEO).encode()
    head = (
        f"POST {SUBMIT} HTTP/1.1\r\nhost: {url.host}:{url.port}\r\n"
        f"authorization: Bearer {box.keys['vicsee']}\r\ncontent-length: {len(content)}\r\n"
        "content-type: application/json\r\nconnection: close\r\n\r\n"
    )
    with socket.create_connection((url.host, url.port), timeout=300) as wire:
        wire.sendall(head.encode() + content)
        while not box.server.admin("GET", f"sandboxes/{box.id}/faults")["faults"][0]["fired"]:
            pass
        before = box.charges("vicsee")
        box.server.admin("POST", f"sandboxes/{box.id}/clock/advance", {"seconds": 3600})
        answer = wire.recv(65_536)
    assert ([], True) == (before, answer.startswith(b"HTTP/1.1 200"))


def test_another_request_on_the_connection_succeeds(sandbox: Sandbox) -> None:
    """A fault that cuts nothing leaves the kept connection usable."""
    arm(sandbox, at="before_accept", first=1, do={"respond": 503})
    headers = {"authorization": f"Bearer {sandbox.keys['vicsee']}"}
    with httpx.Client(base_url=sandbox.server.base_url, headers=headers) as http:
        found = [http.post(SUBMIT, json=VIDEO).status_code for _ in range(2)]
    assert [503, 200] == found


def test_the_server_reports_no_error_for_a_cut(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    """A lost response is no error of the server, so its log has the usual lines only."""
    server = start_server("--clock", "auto", "--scenario", "vicsee/answer-lost-after-acceptance")
    box = Sandbox(server, "default", {"vicsee": "sk-any"})
    arm(box, at="poll", on="credits", do="drop_connection")
    arm(box, at="mid_body", do={"truncate": "50%"})
    seen(box, "POST", SUBMIT, VIDEO)
    seen(box, "GET", "/vicsee/api/v1/credits")
    seen(box, "GET", "/vicsee/api/v1/models")
    log = ""
    deadline = time.monotonic() + 300
    while log.count("fault:") < 3 and time.monotonic() < deadline:
        log = (tmp_path / "server.log").read_text("utf-8")
    assert [] == [word for word in ("ERROR", "Traceback", "Exception") if word in log], log


def test_a_download_can_be_reset(sandbox: Sandbox) -> None:
    """A download that is reset before its start brings no byte."""
    name = job(sandbox)
    sandbox.server.admin("POST", f"sandboxes/{sandbox.id}/clock/advance", {"to": "idle"})
    arm(sandbox, at="download", do="reset_connection")
    path = f"/sandbox/{sandbox.id}/media/outputs/{name}.mp4"
    assert Seen(b"", "RST") == seen(sandbox, "GET", path)
