"""A real server in a process of its own, sandboxes in it, and a look into the files it makes."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

START_SECONDS = 300
STOP_SECONDS = 60
UPSIM = (sys.executable, "-m", "upsim")


@dataclass(frozen=True, slots=True)
class Server:
    """A running simulator: where it listens and how its admin API is reached."""

    base_url: str
    admin_token: str
    pid: int
    http: httpx.Client

    def admin(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Call the admin API and return what it answers."""
        headers = {"Authorization": f"Bearer {self.admin_token}"}
        url = f"{self.base_url}/__sim/{path}"
        answer = self.http.request(method, url, json=body, headers=headers)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def clip(self, size: str, fps: str, seconds: str, container: str = "mp4") -> str:
        """Return the address of a synthetic clip with exactly these properties."""
        return f"{self.base_url}/media/synthetic/{size}_{fps}fps_{seconds}s.{container}"

    def download(self, url: str) -> httpx.Response:
        """Fetch an output as anybody can: without a key."""
        answer = self.http.get(url)
        assert answer.is_success, f"{url}: {answer.status_code}"
        return answer


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One isolated world on the server, with a key for each provider."""

    server: Server
    id: str
    keys: Mapping[str, str]

    def base_url(self, provider: str, dialect: str = "") -> str:
        """Return where a provider's own paths begin."""
        return "/".join(part for part in (self.server.base_url, provider, dialect) if part)

    def charges(self, provider: str) -> list[Decimal]:
        """Return what was charged so far, as positive amounts, oldest first."""
        ledger = self.server.admin("GET", f"sandboxes/{self.id}/ledger?provider={provider}")
        return [abs(Decimal(e["amount"])) for e in ledger["entries"] if e["kind"] == "charge"]

    def set_balance(self, provider: str, balance: str) -> None:
        """Give the account of this sandbox's key exactly this balance."""
        path = f"sandboxes/{self.id}/accounts/{provider}"
        self.server.admin("PUT", path, {"balance": balance})


@contextmanager
def running(
    folder: Path, *options: str, program: Sequence[str] = UPSIM, **variables: str
) -> Iterator[Server]:
    """Run `upsim serve` on a free port with these options and variables, and end it."""
    ready, log = folder / "ready.json", folder / "server.log"
    command = ["serve", "--port", "0", "--ready-file", str(ready), *options]
    inherited = {name: value for name, value in os.environ.items() if name[:6] != "UPSIM_"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*program, *command],
            env={**inherited, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        said = _wait_until_ready(process, ready=ready, log=log)
        base_url = said["base_url"].rstrip("/")
        with httpx.Client(trust_env=False, timeout=60) as http:
            yield Server(base_url, admin_token=said["admin_token"], pid=said["pid"], http=http)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start `upsim serve` on a free port; end it when the tests are over."""
    with running(tmp_path_factory.mktemp("server"), "--clock", "auto") as started:
        yield started


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server with options and variables of its own."""
    with ExitStack() as stack:
        yield lambda *options, **variables: stack.enter_context(
            running(tmp_path, *options, **variables)
        )


def _wait_until_ready(process: subprocess.Popen[bytes], *, ready: Path, log: Path) -> Any:  # noqa: ANN401 - JSON
    """Return what the ready file says, once it is there and whole."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the server ended with {process.returncode}:\n{log.read_text('utf-8')}")
        try:
            return json.loads(ready.read_text("utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            time.sleep(0.02)
    pytest.fail(f"the server was not ready in {START_SECONDS} s:\n{log.read_text('utf-8')}")


@pytest.fixture
def make_sandbox(server: Server) -> Iterator[Callable[..., Sandbox]]:
    """Return a function that makes sandboxes; they are gone after the test."""
    made: list[Sandbox] = []

    def make(**options: object) -> Sandbox:
        answer = server.admin("POST", "sandboxes", {"clock": "auto", **options})
        made.append(Sandbox(server=server, id=answer["id"], keys=answer["keys"]))
        return made[-1]

    yield make
    for sandbox in made:
        server.admin("DELETE", f"sandboxes/{sandbox.id}")


@pytest.fixture
def sandbox(make_sandbox: Callable[..., Sandbox]) -> Sandbox:
    """Return a fresh sandbox with ample funds, whose clock jumps from poll to poll."""
    return make_sandbox()


@dataclass(frozen=True, slots=True)
class Video:
    """What ffprobe reads in a file."""

    width: int
    height: int
    fps: str
    seconds: Decimal
    audio: bool


@pytest.fixture
def probe(
    server: Server, require_tool: Callable[[str], str], tmp_path: Path
) -> Callable[[str], Video]:
    """Return a function that downloads a video without a key and measures it with ffprobe."""
    ffprobe = require_tool("ffprobe")

    def measure(url: str) -> Video:
        file = tmp_path / "output.mp4"
        file.write_bytes(server.download(url).content)
        asked = ["-show_entries", "stream=codec_type,width,height,avg_frame_rate:format=duration"]
        command = [ffprobe, "-v", "error", *asked, "-of", "json", str(file)]
        found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        kinds = {stream["codec_type"]: stream for stream in found["streams"]}
        return Video(
            width=kinds["video"]["width"],
            height=kinds["video"]["height"],
            fps=kinds["video"]["avg_frame_rate"],
            seconds=Decimal(found["format"]["duration"]),
            audio="audio" in kinds,
        )

    return measure


@pytest.fixture
def unused_port() -> int:
    """Return a loopback port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port
