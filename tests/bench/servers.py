"""Servers in processes of their own, and what they cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 16
COMPILED = tempfile.TemporaryDirectory(prefix="upsim-bench-")
"""Compiled modules, as an installed package has them, whatever the environment says."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server under test."""

    base_url: str
    pid: int
    started_in: float

    def cpu(self) -> float:
        """Seconds of user and system time that the server has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def resident() -> int:
    """Resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def running(arguments: Sequence[str]) -> Iterator[Running]:
    """Start a server that writes a ready file, pinned to the first core; end it by its pid."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.json"
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *(text.replace("READY", str(ready)) for text in arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=environment(),
        )
        pin(process.pid, 0)
        try:
            while not (ready.exists() and ready.read_text()):
                if process.poll() is not None:
                    raise RuntimeError(f"{arguments} ended with {process.returncode}")
                time.sleep(0.002)
            said = json.loads(ready.read_text())
            _wait_for_answer(said["base_url"])
            yield Running(said["base_url"], process.pid, time.perf_counter() - started)
        finally:
            process.terminate()
            process.wait(10)


def environment() -> dict[str, str]:
    """Ours, but that modules are compiled once."""
    usual = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**usual, "PYTHONPYCACHEPREFIX": COMPILED.name}


def simulator(*options: str) -> Sequence[str]:
    """How the simulator is started for a measurement."""
    return ("-m", "upsim", "serve", "--port", "0", "--ready-file", "READY", "--quiet", *options)


def reference_app() -> Sequence[str]:
    """How the bare application is started."""
    return (str(HERE / "reference_app.py"), "READY")


def request(base_url: str, method: str, path: str, *, key: str = "", body: object = None) -> str:
    """One HTTP/1.1 request as it goes over the wire."""
    content = "" if body is None else json.dumps(body)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(base_url).netloc}", "Accept: */*"]
    if key:
        lines.append(key)
    if content:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", content])


def load(server: Running, requests: Sequence[str], seconds: float) -> tuple[float, float, int]:
    """Load a server; CPU microseconds a request, answers a second, and the answers."""
    url = urlsplit(server.base_url)
    plan = {
        "host": url.hostname,
        "port": url.port,
        "connections": CONNECTIONS,
        "requests": list(requests),
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(plan, file)
        file.flush()
        before = server.cpu()
        command = [sys.executable, str(HERE / "load.py"), file.name, str(seconds)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        pin(process.pid, 1)
        said, _ = process.communicate(timeout=seconds + 30)
        spent = server.cpu() - before
    tally = json.loads(said)
    if tally["bad"] or not tally["answers"]:
        raise RuntimeError(f"{tally['bad']} of {tally['answers']} answers were refusals")
    rate = tally["answers"] / (tally["micros"] / 1e6)
    return spent / tally["answers"] * 1e6, rate, tally["answers"]


def pin(pid: int, core: int) -> None:
    """Give a process a core of its own where the machine has two."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(pid, {cores[core]})


def _wait_for_answer(base_url: str) -> None:
    import http.client

    url = urlsplit(base_url)
    for _ in range(1000):
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
        try:
            connection.request("GET", "/__sim/livez")
            connection.getresponse().read()
        except ConnectionRefusedError:
            time.sleep(0.002)
        else:
            return
        finally:
            connection.close()
    raise RuntimeError(f"{base_url} does not answer")
