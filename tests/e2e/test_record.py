"""`upsim record` and `upsim drift` as processes, over real sockets, with curl."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import quote

import pytest

from tests.e2e.conftest import Server

KEY = "sk-canary-0123456789"
START_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Recorder:
    """A recording in a process of its own."""

    process: subprocess.Popen[str]
    base_url: str
    cassette: Path

    def stop(self, how: int = signal.SIGINT) -> str:
        """End it as a person does, and return what it said."""
        self.process.send_signal(how)
        said, _ = self.process.communicate(timeout=300)
        return said

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of its cassette."""
        return [json.loads(line) for line in self.cassette.read_text("utf-8").split("\n") if line]


@contextmanager
def recorder(folder: Path, upstream: str, *options: str) -> Iterator[Recorder]:
    """Run `upsim record` on a free port."""
    ready, cassette = folder / "recorder.json", folder / "cassette.jsonl"
    command = [sys.executable, "-m", "upsim", "record", "--upstream", upstream, "--port", "0"]
    with subprocess.Popen(
        [*command, "--to", str(cassette), "--ready-file", str(ready), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    ) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not ready.exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            assert ready.exists(), process.communicate()[0]
            base_url = json.loads(ready.read_text("utf-8"))["base_url"]
            yield Recorder(process, base_url, cassette)
        finally:
            if process.poll() is None:
                process.kill()


def curl(url: str, *options: str, key: str = KEY) -> tuple[int, str]:
    """Call with curl, with a key unless it is empty; return the status and the body."""
    fixed = [
        "curl",
        "-s",
        "--noproxy",
        "*",
        *(("-H", f"Authorization: Bearer {key}") if key else ()),
    ]
    form = ["-w", "\n%{http_code}", url]
    done = subprocess.run([*fixed, *options, *form], capture_output=True, text=True, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def drift(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `upsim drift`."""
    command = [sys.executable, "-m", "upsim", "drift", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def stranger(
    start_server: Callable[..., Server], require_tool: Callable[[str], str]
) -> Callable[..., Server]:
    """Return a function that starts a simulator at another address, as a stand-in for live."""
    require_tool("curl")
    return lambda *options: start_server("--host", "127.0.0.2", "--clock", "auto", *options)


def submit(recorded: Recorder, server: Server) -> tuple[int, str]:
    """Send a clip of 4.5 seconds, 80 credits."""
    body = json.dumps({"video_url": server.clip("854x480", "30", "4.5")})
    return curl(
        f"{recorded.base_url}/vicsee/api/v1/tools/upscale-video",
        *("-H", "Content-Type: application/json", "-d", body),
    )


def test_a_recorded_job_shows_no_drift(stranger: Callable[..., Server], tmp_path: Path) -> None:
    """Curl runs a job through the recorder; Ctrl-C leaves a complete file without the key."""
    server = stranger()
    with recorder(tmp_path, f"{server.base_url}/vicsee", "--cap", "100") as recorded:
        job = json.loads(submit(recorded, server)[1])["data"]["id"]
        for _ in range(3):
            told = curl(f"{recorded.base_url}/api/v1/tasks/{job}")[1]
        output = json.loads(told)["data"]["result"]["url"]
        assert output.startswith(f"{recorded.base_url}/media/outputs/")
        assert curl(output, "-o", str(tmp_path / "out.mp4"))[0] == 200
        refused = submit(recorded, server)
        said = recorded.stop()
    found = drift(str(recorded.cassette), "--html", str(tmp_path / "drift.html"))

    assert 402 == refused[0]
    assert "5 exchanges, 0 findings, 1 not sent; 80 of the cap of 100 credits spent" in said
    assert 0 == recorded.process.returncode
    assert 6 == len(recorded.lines())
    assert 1708 == recorded.lines()[-1]["answer"]["body"]["file"]["sees"]["width"]
    assert 0 == found.returncode, found.stdout + found.stderr
    assert "no differences in 4 exchanges, 4 of them replayed" in found.stdout
    texts = [p.read_text("utf-8") for p in tmp_path.glob("*.*") if p.suffix != ".mp4"]
    assert [] == [text for text in texts if KEY in text]


def test_a_changed_price_is_reported_immediately(
    stranger: Callable[..., Server], tmp_path: Path
) -> None:
    """A doubled price is one line immediately, exit code 1, and one line of the report."""
    server = stranger("--scenario", "vicsee/price-change")
    with recorder(tmp_path, f"{server.base_url}/vicsee") as recorded:
        submit(recorded, server)
        said = recorded.stop()
    found = drift(str(recorded.cassette), "--json", str(tmp_path / "drift.json"))
    told = json.loads((tmp_path / "drift.json").read_text("utf-8"))[0]["findings"]

    assert 1 == recorded.process.returncode
    assert "charge: expected 80 credits, seen 160 credits [Video Upscale (VicSee API)" in said
    assert (1, ["price"]) == (found.returncode, [one["kind"] for one in told])
    assert [0] == [one["recorded_days_ago"] for one in told]


def test_a_killed_recorder_leaves_complete_lines(
    stranger: Callable[..., Server], tmp_path: Path
) -> None:
    """Every written line is complete, even if the recorder is killed."""
    server = stranger()
    with recorder(tmp_path, f"{server.base_url}/vicsee") as recorded:
        submit(recorded, server)
        recorded.process.kill()

    assert ["upsim-cassette", None] == [line.get("format") for line in recorded.lines()]


def test_web_pages_cannot_use_the_recorder(stranger: Callable[..., Server], tmp_path: Path) -> None:
    """A request with another host, or from another site, is not forwarded."""
    server = stranger()
    with recorder(tmp_path, f"{server.base_url}/vicsee") as recorded:
        url = f"{recorded.base_url}/api/v1/credits"
        statuses = [
            curl(url, "-H", "Host: evil.example")[0],
            curl(url, "-H", "Sec-Fetch-Site: cross-site")[0],
            curl(url, "-H", "Origin: https://evil.example")[0],
            curl(f"{recorded.base_url}/api/../../__sim/sandboxes", "--path-as-is")[0],
            curl(f"{recorded.base_url}/api/%2e%2e/%2e%2e/__sim/sandboxes", "--path-as-is")[0],
            curl(url)[0],
        ]

    assert [403, 403, 403, 404, 404, 200] == statuses


def test_large_uploads_are_not_held_in_memory(
    stranger: Callable[..., Server], tmp_path: Path
) -> None:
    """An upload of 150 MB passes in pieces: the recorder holds half of it at most."""
    server, size = stranger(), 150_000_000
    file = tmp_path / "large.mp4"
    with file.open("wb") as made:
        made.truncate(size)
    with recorder(tmp_path, f"{server.base_url}/wavespeed") as recorded:
        order = json.dumps({"filename": "a.mp4", "size": size, "content_type": "video/mp4"})
        form = ("-H", "Content-Type: application/json", "-d", order)
        told = curl(f"{recorded.base_url}/wavespeed/api/v3/media/uploads", *form)[1]
        upload = json.loads(told)["data"]["upload"]
        before = resident(recorded.process.pid)
        headers = [part for k, v in upload["headers"].items() for part in ("-H", f"{k}: {v}")]
        status, _ = curl(upload["url"], "-X", "PUT", "-T", str(file), *headers, key="")
        grown = peak(recorded.process.pid) - before
        recorded.stop()
    sent = recorded.lines()[-1]["request"]["body"]["file"]

    assert (200, size) == (status, sent["bytes"])
    assert grown < size


def resident(pid: int) -> int:
    """Return the bytes of memory that a process has now."""
    return _memory(pid, "VmRSS")


def peak(pid: int) -> int:
    """Return the most bytes of memory that a process ever had."""
    return _memory(pid, "VmHWM")


def _memory(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def test_the_recorder_can_hold_the_key(stranger: Callable[..., Server], tmp_path: Path) -> None:
    """With `--api-key`, clients need no key, and a wrong one is replaced."""
    server = stranger("--strict-keys")
    made = server.admin("POST", "sandboxes", {"strict_keys": True})
    key, upstream = made["keys"]["vicsee"], f"{server.base_url}/vicsee"
    with recorder(tmp_path, upstream, "--api-key", key) as recorded:
        status, _body = curl(f"{recorded.base_url}/vicsee/api/v1/credits")

    assert 200 == status
    assert key not in recorded.cassette.read_text("utf-8")


def test_an_upstream_that_is_gone(tmp_path: Path, unused_port: int) -> None:
    """A missing upstream gives a response, a finding, and a line of the cassette."""
    with recorder(tmp_path, f"http://127.0.0.1:{unused_port}/vicsee") as recorded:
        status, body = curl(f"{recorded.base_url}/api/v1/credits")
        said = recorded.stop()

    assert (502, "upsim_record_upstream") == (status, json.loads(body)["error"]["code"])
    assert "connection: expected an answer, seen none" in said
    assert [0] == [line["status"] for line in recorded.lines()[1:]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected 'upsim-cassette' version 1 or 2"),
        ("{", ":1:2: no JSON"),
        ('{"format":"upsim-cassette","version":1}', "Object missing required field `provider`"),
    ],
)
def test_files_that_are_no_cassettes(tmp_path: Path, text: str, message: str) -> None:
    """The message names the line of an invalid cassette; the exit code is 2."""
    file = tmp_path / "broken.jsonl"
    file.write_text(text, encoding="utf-8")
    found = drift(str(file))

    assert 2 == found.returncode
    assert message in " ".join(found.stderr.split())


def test_a_live_upstream_needs_a_cap(tmp_path: Path) -> None:
    """A provider's own host without a cap is refused at the start; the exit code is 2."""
    arguments = ["record", "--upstream", "https://api.venice.ai", "--to", str(tmp_path / "c")]
    found = subprocess.run(
        [sys.executable, "-m", "upsim", *arguments, "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 2 == found.returncode
    assert "give --cap" in found.stderr


class Receiving(BaseHTTPRequestHandler):
    """A receiver of webhooks that fails first."""

    got: ClassVar[list[tuple[str, str, bytes]]] = []

    def do_POST(self) -> None:
        """Take one delivery."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.got.append((self.path, self.headers["webhook-signature"], body))
        self.send_response(500 if len(self.got) == 1 else 200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def test_webhooks_pass_the_recorder(stranger: Callable[..., Server], tmp_path: Path) -> None:
    """Receiver and cassette get both attempts; drift checks them and sends nothing."""
    server, job, form = stranger(), "", ("-H", "Content-Type: application/json")
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Receiving) as receiver,
        recorder(tmp_path, f"{server.base_url}/wavespeed") as recorded,
    ):
        Thread(target=receiver.serve_forever, daemon=True).start()
        base, port = f"{recorded.base_url}/wavespeed/api/v3", receiver.server_port
        curl(f"{base}/webhook/secret")
        hook = quote(f"http://127.0.0.1:{port}/hook?token=of-mine", safe="")
        body = json.dumps({"video": server.clip("320x240", "10", "5")})
        told = curl(f"{base}/wavespeed-ai/video-upscaler?webhook={hook}", *form, "-d", body)[1]
        job = json.loads(told)["data"]["id"]
        curl(f"{base}/predictions/{job}/result")
        deadline = time.monotonic() + START_SECONDS
        while len(recorded.lines()) < 6 and time.monotonic() < deadline:
            time.sleep(0.02)
        unknown = curl(f"{recorded.base_url}/upsim-webhooks/unknown", "-d", "{}")[0]
        recorded.stop()
        found = drift(str(recorded.cassette), "--json", str(tmp_path / "drift.json"))
        receiver.shutdown()
    attempts = [line for line in recorded.lines() if line.get("part") == "webhook"]

    assert (404, 0) == (unknown, recorded.process.returncode)
    assert ["/hook?token=of-mine"] * 2 == [path for path, _, _ in Receiving.got]
    assert [(500, "valid"), (200, "valid")] == [(a["status"], a["signature"]) for a in attempts]
    assert [job] * 2 == [json.loads(body)["id"] for _, _, body in Receiving.got]
    assert "of-mine" not in recorded.cassette.read_text("utf-8")
    assert (0, "") == (found.returncode, found.stderr)
    assert 2 == json.loads((tmp_path / "drift.json").read_text("utf-8"))[0]["webhooks"]
    assert "no differences in 3 exchanges and 2 webhooks, 3 of them replayed" in found.stdout
