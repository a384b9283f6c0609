"""No command hands text of a server, a caller, a file or a path to the terminal as it came."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote as quote_of

import httpx
import pytest

from tests.e2e.conftest import Server
from upsim.app import Simulator
from upsim.cli import COMMANDS
from upsim.media.clip_names import parse_clip_name
from upsim.media.synthetic import make_clip

OSC = "\x1b]0;owned\x07"
HOSTILE = f"{OSC}\x9b31m\u202e\u2066[bold red]x :smile: \r\x7f\u2028"
"""A title, colours, text that runs backwards, markup of rich, and what ends a line."""
BASE = {"format": "upsim-cassette", "version": 1, "provider": "venice", "dialect": "guide"}


def check(output: bytes, *, shows: str = "owned") -> None:
    """Check that nothing in an output would be obeyed, and that the foreign text is shown."""
    text = output.decode()
    strange = [c for c in text if not c.isprintable() and c not in "\n\t"]
    assert (text, []) == (text, strange)
    assert shows in text


@contextmanager
def hostile_server(status: int = 400) -> Iterator[str]:
    """Give the address of a server that answers everything with a refusal in hostile words."""
    refusal = {"message": HOSTILE, "code": HOSTILE, "status": HOSTILE, "details": {HOSTILE: 1}}
    body = json.dumps({**refusal, "error": refusal, HOSTILE: HOSTILE, "providers": [HOSTILE]})

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_PUT = do_DELETE = do_HEAD = do_POST  # noqa: N815 - http.server's names

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def run(*arguments: str, **variables: str) -> bytes:
    """Return what a command prints on both of its streams."""
    environment = {name: value for name, value in os.environ.items() if name[:6] != "UPSIM_"}
    return subprocess.run(
        [sys.executable, "-m", "upsim", *arguments],
        env={**environment, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    ).stdout


def text_of(folder: Path, name: str, text: str) -> str:
    """Return the path of a file with a hostile name that holds this text."""
    path = folder / f"{HOSTILE.replace('/', '')}{name}"
    path.write_text(text, "utf-8")
    return str(path)


def validate(folder: Path) -> bytes:
    """Print the mistakes of a file whose name, keys and values are hostile."""
    told = json.dumps(HOSTILE)
    file = text_of(folder, "a.yaml", f"extends: venice/baseline\n{told}: 1\nknobs: {{x: {told}}}\n")
    return run("validate", file)


def quote(folder: Path) -> bytes:
    """Print the prices of a video with a hostile name."""
    file = Path(text_of(folder, "a.mp4", ""))
    file.write_bytes(make_clip(parse_clip_name("64x64_10fps_1s.mp4")))
    return run("quote", str(file)) + run("quote", str(file), "--json")


def demo(folder: Path) -> bytes:
    """Run the demo with a file that is no video and has a hostile name."""
    return run("demo", text_of(folder, "a.mp4", "no video"), "--out", str(folder / HOSTILE))


def upscale(folder: Path) -> bytes:
    """Ask a hostile server for an upscale, and for one whose source has a hostile name."""
    video = Path(text_of(folder, "a.mp4", ""))
    video.write_bytes(make_clip(parse_clip_name("64x64_10fps_1s.mp4")))
    found = run("upscale", str(folder / HOSTILE), "--model", "venice", "--to", "x.mp4")
    with hostile_server() as url:
        base = ("upscale", str(video), "--to", str(folder / "o.mp4"), "--api-key", "k")
        for model in ("venice", "vicsee", "runwayml/upscale-v1", "piapi"):
            found += run(*base, "--model", model, "--target", url)
    return found


def scenarios(folder: Path) -> bytes:
    """Look for a hostile word, and show a hostile file."""
    file = text_of(folder, "a.yaml", f"extends: venice/baseline\nsummary: '{HOSTILE}'\n")
    return run("scenarios", "list", HOSTILE) + run("scenarios", "show", file)


def replay(folder: Path) -> bytes:
    """Replay an export that is none."""
    file = text_of(folder, "a.json", json.dumps({"format": HOSTILE}))
    return run("replay", file)


def verify(folder: Path) -> bytes:
    """Verify a hostile server."""
    del folder
    with hostile_server() as url:
        base = ("verify", "--target", f"{url}/vicsee", "--provider", "vicsee", "--as-live")
        return run(*base, "--api-key", "k", "--cap", "1", "--tier", "free")


def drift(folder: Path) -> bytes:
    """Show a cassette whose host, words and findings are hostile."""
    message = {"headers": {"content-type": HOSTILE}, "body": {"json": {HOSTILE: HOSTILE}}}
    first = {**BASE, "upstream": HOSTILE, "recorded": "2026-01-01T00:00:00Z"}
    call = {
        "method": "GET",
        "path": "/api/v1/billing/balance",
        "status": 200,
        "findings": [HOSTILE],
    }
    one = {**call, "number": 1, "at": "0", "took": "0", "request": {}, "answer": message}
    file = text_of(folder, "a.jsonl", f"{json.dumps(first)}\n{json.dumps(one)}\n")
    broken = text_of(folder, "b.jsonl", json.dumps({**first, HOSTILE: 1, "format": HOSTILE}))
    return run("drift", file) + run("drift", broken)


def env(folder: Path) -> bytes:
    """Ask a hostile server for keys."""
    del folder
    with hostile_server() as url:
        return run("env", "--url", url)


def completion(folder: Path) -> bytes:
    """Ask for a shell that there is not."""
    del folder
    return run("completion", HOSTILE)


def doctor(folder: Path) -> bytes:
    """Find a tool in a folder with a hostile name."""
    tools = folder / HOSTILE.replace("/", "").replace(":", "")
    tools.mkdir()
    (tools / "curl").write_text("#!/bin/sh\n")
    (tools / "curl").chmod(0o755)
    return run("doctor", PATH=f"{tools}:{os.environ['PATH']}")


def record(folder: Path) -> bytes:
    """Record what a hostile server answers to a hostile caller."""
    log, ready = folder / "log", folder / "ready.json"
    command = [sys.executable, "-m", "upsim", "record", "--port", "0", "--provider", "venice"]
    with hostile_server(200) as url, log.open("wb") as output:
        options = ["--upstream", url, "--to", str(folder / "c.jsonl"), "--ready-file", str(ready)]
        process = subprocess.Popen([*command, *options], stdout=output, stderr=output)
        while not ready.exists():
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        base = json.loads(ready.read_text())["base_url"]
        with httpx.Client(trust_env=False) as http:
            http.get(f"{base}/venice/api/v1/billing/balance")
            http.post(f"{base}/venice/api/v1/{HOSTILE.encode().hex()}", json={"model": HOSTILE})
        process.send_signal(signal.SIGINT)
        process.wait(300)
    return log.read_bytes()


def store(folder: Path) -> bytes:
    """Look into a store with a hostile name, in which a sandbox was renamed to a hostile one."""
    file = text_of(folder, "a.db", "")
    with Simulator(store=f"sqlite:{file}"):
        pass
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE sandboxes SET name=?", (HOSTILE,))
        db.execute("UPDATE rules SET provider=?", (HOSTILE,))
    shown = run("store", "info", file) + run("store", "compact", file)
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE sandboxes SET record=x'00'")
    return shown + run("store", "check", file) + run("store", "info", file)


CASES: dict[str, Callable[[Path], bytes]] = {
    one.__name__: one
    for one in (
        *(validate, quote, demo, upscale, scenarios, replay, verify, drift, env),
        *(completion, doctor, record, store),
    )
}
IN_A_SERVER = {"serve"}


def test_every_command_is_tried() -> None:
    """Each command has a case in this module."""
    assert set(COMMANDS) <= CASES.keys() | IN_A_SERVER


@pytest.mark.parametrize("name", CASES)
def test_no_command_prints_foreign_text_raw(tmp_path: Path, name: str) -> None:
    """Control characters, bidi overrides and markup reach the terminal as escapes."""
    check(CASES[name](tmp_path))


def test_no_line_of_a_server_is_raw(start_server: Callable[..., Server], tmp_path: Path) -> None:
    """For any request, the lines of `serve` have no control character."""
    server = start_server("--clock", "auto")
    headers = {"Authorization": "Bearer k", "X-API-Key": "k"}
    body: dict[str, Any] = {"video_url": HOSTILE, "video": HOSTILE, HOSTILE: HOSTILE}
    for path in (
        "vicsee/api/v1/tools/upscale-video",
        f"{quote_of(HOSTILE)}/x",
        "wavespeed/api/v3/x",
    ):
        server.http.post(f"{server.base_url}/{path}", json=body, headers=headers)
    hook = "http://127.0.0.1:1/\x9b\u202e"
    server.http.post(
        f"{server.base_url}/wavespeed/api/v3/runwayml/upscale-v1",
        params={"webhook": hook},
        json={"video": "https://x.example/\u202e.mp4"},
        headers=headers,
    )
    server.admin("POST", "sandboxes/default/clock/advance", {"to": "idle"})
    log = tmp_path / "server.log"
    while "u202e" not in log.read_text():  # lines are held back for a moment
        time.sleep(0.01)

    check(log.read_bytes(), shows="u202e")
    check(run("serve", "--port", "0", "--scenario", HOSTILE))


def test_a_terminal_keeps_our_styles_only(tmp_path: Path) -> None:
    """In a terminal, tables have our styles, and a name in them adds none."""
    file = tmp_path / "\x9b5m[red]owned.mp4"
    file.write_bytes(make_clip(parse_clip_name("64x64_10fps_1s.mp4")))
    shown = run("quote", str(file), FORCE_COLOR="1", COLUMNS="300").decode()

    assert "\x1b[" in shown
    assert r"\u009b5m[red]owned.mp4" in shown


def test_a_terminal_without_unicode_gets_escapes(tmp_path: Path) -> None:
    """Characters that an encoding cannot hold are escaped, too."""
    file = tmp_path / "größe→.mp4"
    file.write_bytes(make_clip(parse_clip_name("64x64_10fps_1s.mp4")))

    assert rb"gr\xf6\xdfe\u2192.mp4" in run("quote", str(file), PYTHONIOENCODING="ascii")
