"""A soak: mixed traffic on many connections against a real server, and what must hold after it.

`python -m tests.e2e.soak 200000` runs it for so many requests and prints the figures.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from tests.stateful.asgi_client import Request
from tests.stateful.provider_calls import FACES, TOPAZ, V1, V3, Face
from tests.stateful.strategies import videos
from tests.stateful.strategies.flaws import FLAWS

CONNECTIONS = 32
BOXES = 2
PACE = 2000
RICH = Decimal(10**10)
START_SECONDS = 120.0
ANSWER_SECONDS = 30.0
ELSEWHERE = "http://upsim.test"
PRICES = {"wavespeed": "0.025", "venice": "0.026", "piapi": "60000", "vicsee": "32"}
"""Of the small clip with each provider's first option."""
POOR = "poor"
"""A second account of each provider, on a tight plan, that can pay for two jobs."""

ACCOUNTS = {
    "wavespeed": f"{V3}/balance",
    "venice": "/venice/api/v1/billing/balance",
    "piapi": "/piapi/account/info",
    "vicsee": "/vicsee/api/v1/credits",
}


@dataclass(slots=True)
class Box:
    """One sandbox: its keys, what was sent to it, and what it accepted."""

    id: str
    keys: dict[tuple[str, str], str]
    sent: int = 0
    accepted: dict[str, str] = field(default_factory=dict)
    given_back: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Report:
    """What was seen. `memory` is the resident size in MB at each hundredth of the requests."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    accepted: int = 0
    accepted_by_server: int = 0
    kept: int = 0
    balances: list[tuple[str, Decimal, Decimal]] = field(default_factory=list)
    sums: list[tuple[str, Decimal, Decimal]] = field(default_factory=list)
    counted: list[tuple[int, int]] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """Return how many answers came."""
        return sum(self.statuses.values())

    @property
    def growth(self) -> float:
        """Return by how many MB the last quarter is above the one before."""
        quarter = max(1, len(self.memory) // 4)
        return max(self.memory[-quarter:]) - max(self.memory[-2 * quarter : -quarter])

    def lines(self) -> Iterator[str]:
        """Return the figures for people."""
        speed = self.requests / self.seconds
        yield f"{self.requests} requests in {self.seconds:.1f} s: {speed:.0f} a second"
        yield f"statuses: {dict(sorted(self.statuses.items()))}"
        yield f"jobs: {self.accepted} accepted, {self.kept} kept, {len(self.lost)} lost"
        half = len(self.memory) // 2
        first, middle, last = self.memory[0], self.memory[half], self.memory[-1]
        yield f"memory: {first:.0f} MB, {middle:.0f} at half time, {last:.0f} at the end"
        yield f"memory of the last quarter above the one before: {self.growth:.1f} MB"
        yield f"wrong answers: {len(self.bad)}; wrong balances: {len(self.wrong_balances)}"

    @property
    def wrong_balances(self) -> list[tuple[str, Decimal, Decimal]]:
        """Return accounts whose balance is not what was paid, or not the sum of its lines."""
        return [row for row in [*self.balances, *self.sums] if row[1] != row[2]]


class Wire:
    """One keep-alive connection, as plain as it can be."""

    def __init__(self, host: str, port: int) -> None:
        """Connect at the first request."""
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, request: Request, headers: dict[str, str]) -> tuple[int, bytes]:
        """Send a request and return status and body."""
        body = request.body if isinstance(request.body, bytes) else b""
        lines = [f"{request.method} {request.path} HTTP/1.1", f"Host: {self._host}:{self._port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        reader, writer = await self._connected()
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self._answer(reader)

    def close(self) -> None:
        """Close the connection."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None:
            opened = await asyncio.open_connection(self._host, self._port)
            self._reader, self._writer = opened
        return self._reader, self._writer

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
        body = await reader.readexactly(length)
        if b"connection: close" in head:
            self.close()
        return int(head.split(b" ", 2)[1]), body


class Caller:
    """One of those who call: sends whatever comes to its mind."""

    def __init__(self, number: int, *, base: str, boxes: list[Box], report: Report) -> None:
        """Callers of different numbers do different things."""
        self._mind = random.Random(number)  # noqa: S311 - repeatable on purpose
        self._base = base
        self._boxes = boxes
        self._report = report
        host, _, port = base.removeprefix("http://").partition(":")
        self._wire = Wire(host, int(port))
        self._own: list[tuple[Box, Face, str]] = []

    async def run(self, until: int) -> None:
        """Call until so many requests of all callers were answered."""
        deeds = (
            [self._submit] * 8
            + [self._poll] * 7
            + [self._wrong] * 3
            + [self._poor, self._stranger, self._money, self._end, self._download]
        )
        try:
            while self._report.requests < until:
                await self._mind.choice(deeds)()
        finally:
            self._wire.close()

    async def _submit(self) -> None:
        box, face = self._somewhere()
        request = face.submit(videos.SMALL, face.options[0])
        status, body = await self._ask(box, face, request)
        if status == 200:
            job = face.job_of(json.loads(body))
            box.accepted[job] = face.name
            self._own = [*self._own[-200:], (box, face, job)]

    async def _poll(self) -> None:
        if self._own:
            box, face, job = self._mind.choice(self._own)
            await self._ask(box, face, face.poll(job))

    async def _wrong(self) -> None:
        box, face = self._somewhere()
        flaw = self._mind.choice(FLAWS)
        status, body = await self._ask(box, face, flaw(face))
        if status < 400:
            self._report.bad.append(f"{face.name} accepts {flaw.__name__}: {body[:80]!r}")

    async def _poor(self) -> None:
        box, face = self._somewhere()
        request = face.submit(videos.SMALL, face.options[0])
        status, body = await self._ask(box, face, request, owner=POOR)
        if status == 200:
            box.accepted[face.job_of(json.loads(body))] = f"{face.name}/{POOR}"

    async def _stranger(self) -> None:
        if self._own:
            box, face, job = self._mind.choice(self._own)
            other = next(one for one in self._boxes if one is not box)
            status, _ = await self._ask(other, face, face.poll(job))
            if status < 400:
                self._report.bad.append(f"{face.name} shows {job} to a stranger")

    async def _money(self) -> None:
        box, face = self._somewhere()
        await self._ask(box, face, Request("GET", ACCOUNTS[face.name]))

    async def _end(self) -> None:
        """Cancel, delete or complete a job, as its provider can."""
        if not self._own:
            return
        box, face, job = self._mind.choice(self._own)
        if face.name == "piapi":
            status, _ = await self._ask(box, face, Request("DELETE", f"/piapi/api/v1/task/{job}"))
            box.given_back[face.name] += status == 200
        elif face.name == "wavespeed":
            await self._ask(box, face, Request("POST", f"{V3}/predictions/delete", {"ids": [job]}))
        elif face.name == "venice":
            body = {"model": TOPAZ, "queue_id": job}
            await self._ask(box, face, Request("POST", f"{V1}/complete", body))

    async def _download(self) -> None:
        if self._own:
            box, face, job = self._mind.choice(self._own)
            request = Request("GET", f"/sandbox/{box.id}/media/outputs/{job}.mp4")
            await self._send(request, dict(face.headers(None)))

    def _somewhere(self) -> tuple[Box, Face]:
        return self._mind.choice(self._boxes), self._mind.choice(list(FACES.values()))

    async def _ask(
        self, box: Box, face: Face, request: Request, *, owner: str = "main"
    ) -> tuple[int, bytes]:
        box.sent += 1
        return await self._send(request, dict(face.headers(box.keys[face.name, owner])))

    async def _send(self, request: Request, headers: dict[str, str]) -> tuple[int, bytes]:
        body = request.body
        if not isinstance(body, bytes):
            body = b"" if body is None else json.dumps(body).encode()
        body = body.replace(ELSEWHERE.encode(), self._base.encode())
        status, answer = await self._wire.send(Request(request.method, request.path, body), headers)
        self._report.statuses[status] += 1
        if status >= 500:
            self._report.bad.append(f"{request.method} {request.path}: {status} {answer[:200]!r}")
        return status, answer


@dataclass(frozen=True, slots=True)
class Server:
    """A server in a process of its own."""

    base: str
    pid: int
    http: httpx.Client

    def admin(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Call the admin API."""
        answer = self.http.request(method, f"{self.base}/__sim/{path}", json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return json.loads(answer.text, parse_float=Decimal)

    def metric(self, name: str) -> int:
        """Return a figure of the metrics."""
        text = self.http.get(f"{self.base}/__sim/metrics").text
        return next(
            int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} ")
        )

    def memory(self) -> float:
        """Return the resident size in MB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def served(*options: str) -> Iterator[Server]:
    """Run a server while the block runs."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        ready, log = Path(folder, "ready.json"), Path(folder, "server.log")
        command = [sys.executable, "-m", "upsim", "serve", "--port", "0", "--quiet"]
        command += ["--ready-file", str(ready), *options]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("UPSIM_")}
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            said = _said(process, ready, log)
            headers = {"authorization": f"Bearer {said['admin_token']}"}
            with httpx.Client(trust_env=False, timeout=60, headers=headers) as http:
                yield Server(said["base_url"], said["pid"], http)
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def soak(requests: int, *, jobs_max: int = 5000) -> Report:
    """Let everybody send so many requests in all and check what is there afterwards."""
    report = Report()
    options = ("--strict-keys", "--jobs-max", str(jobs_max), "--pace", str(PACE))
    with served(*options) as server:
        boxes = [_new_box(server, seed) for seed in range(BOXES)]
        asyncio.run(_everybody(server, boxes, report, requests))
        _look(server, boxes, report)
    return report


async def _everybody(server: Server, boxes: list[Box], report: Report, until: int) -> None:
    started = time.monotonic()
    callers = [
        Caller(number, base=server.base, boxes=boxes, report=report)
        for number in range(CONNECTIONS)
    ]
    async with asyncio.TaskGroup() as group:
        group.create_task(_watch(server, report, until))
        for caller in callers:
            group.create_task(caller.run(until))
    report.seconds = time.monotonic() - started


async def _watch(server: Server, report: Report, until: int) -> None:
    while report.requests < until:
        if report.requests >= len(report.memory) * until // 100:
            report.memory.append(server.memory())
        await asyncio.sleep(0.01)


def _look(server: Server, boxes: list[Box], report: Report) -> None:
    report.accepted = sum(len(box.accepted) for box in boxes)
    report.accepted_by_server = server.metric("upsim_jobs_accepted_total")
    for box in boxes:
        shown = server.admin("GET", f"sandboxes/{box.id}")
        report.counted.append((box.sent, shown["requests"]))
        kept = _all(server, f"sandboxes/{box.id}/jobs", "jobs", 1000)
        names = [job["id"] for job in kept]
        report.kept += len(names)
        report.lost += _lost(list(box.accepted), names)
        report.unasked += [name for name in names if name not in box.accepted]
        _look_at_money(server, box, report)


def _lost(accepted: list[str], kept: list[str]) -> list[str]:
    """Return what is missing though it is newer than something finished that was kept.

    The cap forgets the jobs that ended first, in lots of 1,024: whatever is gone is among the
    oldest, and the kept are not fewer than the cap allows.
    """
    gone = set(accepted) - set(kept)
    spread = CONNECTIONS + 1024
    oldest = set(accepted[: len(gone) + spread])
    return sorted(gone - oldest)


def _look_at_money(server: Server, box: Box, report: Report) -> None:
    lines = _all(server, f"sandboxes/{box.id}/ledger", "entries", 10_000)
    sums: Counter[int] = Counter()
    exact: dict[int, Decimal] = {}
    for line in lines:
        sums[line["account"]] += 1
        exact[line["account"]] = exact.get(line["account"], Decimal(0)) + Decimal(line["amount"])
    for account in server.admin("GET", f"sandboxes/{box.id}/accounts")["accounts"]:
        name, number = f"{box.id} {account['name']}", account["account"]
        opening, balance = Decimal(account["opening"]), Decimal(account["balance"])
        report.sums.append((name, opening + exact.get(number, Decimal(0)), balance))
        if number <= len(FACES):
            provider = account["provider"]
            paid = list(box.accepted.values()).count(provider) - box.given_back[provider]
            report.balances.append((name, RICH - paid * Decimal(PRICES[provider]), balance))


def _new_box(server: Server, seed: int) -> Box:
    order = {"balances": dict.fromkeys(FACES, str(RICH)), "seed": seed}
    made = server.admin("POST", "sandboxes", order)
    keys = {(provider, "main"): made["keys"][provider] for provider in FACES}
    path = f"sandboxes/{made['id']}/accounts"
    for number, provider in enumerate(FACES, 1):
        server.admin("PUT", f"{path}/{provider}", {})
        assert server.admin("GET", path)["accounts"][-1]["account"] == number
    for provider in FACES:
        poor = server.admin("POST", f"{path}/{provider}/keys", {"account": POOR})
        keys[provider, POOR] = poor["key"]
        little = str(2 * Decimal(PRICES[provider]))
        plan = FACES[provider].plans[1]
        change = {"account": poor["account"], "balance": little, "plan": plan}
        server.admin("PUT", f"{path}/{provider}", change)
    return Box(made["id"], keys)


def _all(server: Server, path: str, name: str, page: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        shown = server.admin("GET", f"{path}?offset={len(found)}&limit={page}")
        found += shown[name]
        if len(found) >= shown["total"]:
            return found


def _said(process: subprocess.Popen[bytes], ready: Path, log: Path) -> dict[str, Any]:
    deadline = time.monotonic() + START_SECONDS
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            msg = f"the server did not start:\n{log.read_text('utf-8')}"
            raise RuntimeError(msg)
        time.sleep(0.02)
    said: dict[str, Any] = json.loads(ready.read_text("utf-8"))
    return said


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    for line in soak(asked).lines():
        sys.stdout.write(f"{line}\n")
