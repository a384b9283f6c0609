"""On a full disk every command says so in a line, and leaves each file as it was or whole."""

from __future__ import annotations

import asyncio
import errno
import importlib
import os
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from tests.full_disk import full_disk
from upsim import Simulator
from upsim.cli import main
from upsim.media.clip_names import parse_clip_name
from upsim.media.synthetic import make_clip
from upsim_contracts.cassettes.cassette import (
    Header,
    RecordedExchange,
    RecordedMessage,
    Writer,
    read_cassette,
)
from upsim_contracts.exceptions import UsageError
from upsim_contracts.record.command import recording
from upsim_contracts.used_fields import uses_in, write_uses

pytest.importorskip("resource")  # as on Windows
FULL = os.strerror(errno.EFBIG)
KEY = {"authorization": "Bearer a-key"}
ROOM = 200
"""Bytes of a file for which there is room."""
OLD = "# what was there\n"


def cassette(folder: Path) -> Path:
    """Return a recording of a response that is unlike its document."""
    file = folder / "c.jsonl"
    body = RecordedMessage({"content-type": "application/json"}, {"json": {"new": "x" * ROOM}})
    one = RecordedExchange(
        1, Decimal(0), Decimal(0), "GET", "/api/v1/credits", RecordedMessage(), 200, body
    )
    with file.open("wb", buffering=0) as opened:
        Writer(opened, Header("vicsee", "guide", "x", "2026-01-01")).add(one)
    return file


def export(folder: Path) -> Path:
    """Return the export of a session with a long body."""
    file = folder / "session.json"

    async def played() -> bytes:
        with Simulator(clock="manual") as simulator:
            calls = simulator.transport()
            async with httpx.AsyncClient(transport=calls, base_url="http://127.0.0.1:4747") as http:
                body = {"video_url": "data:," + "x" * 5000}
                await http.post("/venice/api/v1/video/queue", json=body, headers=KEY)
                return (await http.get("/__sim/sandboxes/default/export")).content

    file.write_bytes(asyncio.run(played()))
    return file


def drift(*options: str) -> Callable[[Path], list[str]]:
    """Return the line of `upsim drift` without a simulator."""
    return lambda folder: ["drift", str(cassette(folder)), "--no-simulator", *options]


def upscale(folder: Path) -> list[str]:
    """Return the line of `upsim upscale`."""
    clip = folder / "clip.mp4"
    clip.write_bytes(make_clip(parse_clip_name("64x36_10fps_1s.mp4")))
    return ["upscale", str(clip), "--model", "vicsee", "--to", "out"]


COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "replay --pytest": lambda folder: ["replay", str(export(folder)), "--pytest", "--to", "out"],
    "drift --json": drift("--json", "out"),
    "drift --html": drift("--html", "out"),
    "drift --accept-new": drift("--accept", "out", "--accept-new", "as it is now"),
    "upscale": upscale,
    "demo": lambda _: ["demo", "--out", "folder"],
    "serve --ready-file": lambda _: ["serve", "--port", "0", "--ready-file", "new"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """On a full disk, a command names the file and leaves no partial or temporary file."""
    monkeypatch.chdir(tmp_path)
    line = COMMANDS[name](tmp_path)
    (tmp_path / "out").write_text(OLD, "utf-8")
    before = {file.name for file in tmp_path.iterdir()}
    monkeypatch.setenv("UPSIM_ADMIN_TOKEN", "t" * ROOM)  # makes a ready file long
    with full_disk(ROOM):
        done = CliRunner().invoke(main, line)

    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in (1, 2), done.output
    assert FULL in done.stderr, done.stderr
    assert OLD == (tmp_path / "out").read_text("utf-8")
    assert before == {file.name for file in tmp_path.rglob("*") if not file.is_dir()}


def test_recorded_uses_on_a_full_disk(tmp_path: Path) -> None:
    """On a full disk, the summary of a recording is not written, and no partial file remains."""
    found = uses_in(read_cassette(cassette(tmp_path)))
    before = [*tmp_path.iterdir()]
    with full_disk(ROOM), pytest.raises(UsageError, match=FULL):
        write_uses(tmp_path / "out", found)

    assert before == [*tmp_path.iterdir()]


def test_a_recording_on_a_full_disk(tmp_path: Path) -> None:
    """On a full disk, the client gets every response, and each lost exchange is reported.

    The cassette stays readable.
    """
    file, said, statuses = tmp_path / "c.jsonl", list[str](), list[int]()

    async def run() -> str:
        asked = {"upstream": "http://127.0.0.1:9", "to": file, "provider": "venice"}
        upstream = httpx.MockTransport(
            lambda _: httpx.Response(200, stream=httpx.ByteStream(b"{}"))
        )
        with recording(asked, None, said.append, upstream) as session:
            calls = httpx.ASGITransport(session.application)
            async with httpx.AsyncClient(transport=calls, base_url="http://r.test") as http:
                with full_disk(ROOM):
                    statuses.extend(
                        [(await http.get(f"/api/v1/{name}")).status_code for name in "ab"]
                    )
                statuses.append((await http.get("/api/v1/c")).status_code)
        return session.summary

    summary = asyncio.run(run())
    kept = read_cassette(file)

    assert [200, 200, 200] == statuses
    lost = [line for line in said if "cassette" in line]
    assert [f"GET /api/v1/{name} is not in the cassette: {FULL}" for name in "ab"] == lost
    assert (["/api/v1/c"], 0) == ([one.path for one in kept.exchanges], kept.cut)
    assert summary.endswith("2 not in the cassette")


def test_a_full_disk_breaks_no_compiled_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that is first imported on a full disk can be imported again later."""
    module = tmp_path / "first_imported_on_a_full_disk.py"
    module.write_text(f"VALUE = {'x' * ROOM!r}\n", "utf-8")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.syspath_prepend(tmp_path)
    with full_disk(ROOM):
        importlib.import_module(module.stem)
    del sys.modules[module.stem]
    assert "x" * ROOM == importlib.import_module(module.stem).VALUE
