"""A server in a process of its own that keeps its sandboxes in a file, and that can be killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .raw_http import Connection, Response, json_request

START_SECONDS = 120
STOP_SECONDS = 60
TOKEN = "of-the-kill-tests"
PROGRAM = Path(__file__).with_name("altered_server.py")


@dataclass(slots=True)
class Server:
    """The server of one store, in one life after the other.

    `alterations` are the environment variables of `altered_server.py`.
    """

    folder: Path
    options: Sequence[str] = ()
    alterations: Mapping[str, str] = field(default_factory=dict)
    base_url: str = ""
    starts: list[float] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def store(self) -> Path:
        """The file of the store."""
        return self.folder / "store.db"

    @property
    def log(self) -> Path:
        """The file with the output of all lives of the server."""
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        """The id of the server's process."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start the next life, and wait until it is ready."""
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        program = [str(PROGRAM)] if self.alterations else ["-m", "upsim"]
        command = ["serve", "--store", f"sqlite:{self.store}", "--port", "0", "--quiet"]
        command += ["--ready-file", str(ready), "--admin-token", TOKEN, *self.options]
        inherited = {name: value for name, value in os.environ.items() if name[:6] != "UPSIM_"}
        began = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs here
                [sys.executable, *program, *command],
                env={**inherited, **self.alterations},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        while not ready.exists():
            assert self._process.poll() is None, f"the server ended:\n{self.log.read_text()}"
            assert time.monotonic() - began < START_SECONDS, self.log.read_text()
            await asyncio.sleep(0.01)
        self.base_url = json.loads(ready.read_text())["base_url"]
        self.starts.append(time.monotonic() - began)

    def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        """End this life, and return the exit code of the process."""
        assert self._process is not None
        self._process.send_signal(how)
        try:
            return self._process.wait(STOP_SECONDS)
        finally:
            self._process.kill()

    async def admin(self, method: str, path: str, value: object = None) -> Response:
        """Call the admin API on a connection of its own."""
        return await self.send(method, f"/__sim/{path}", value, **admin_headers())

    async def send(self, method: str, path: str, value: object = None, **headers: str) -> Response:
        """Send one request on a connection of its own."""
        connection = await Connection.open(self.base_url)
        try:
            request = json_request(method, path, value, headers=headers)
            return (await connection.send([request]))[0]
        finally:
            connection.close()

    async def listed(self, path: str, name: str, at_once: int = 1000) -> list[Any]:
        """Return all items of a list of the admin API, page by page."""
        found: list[Any] = []
        while True:
            page = await self.admin("GET", f"{path}?limit={at_once}&offset={len(found)}")
            assert page.status == 200, (path, page)
            found += page.json[name]
            if len(page.json[name]) < at_once:
                return found


def admin_headers() -> dict[str, str]:
    """Return the headers of an admin request."""
    return {"Authorization": f"Bearer {TOKEN}"}
