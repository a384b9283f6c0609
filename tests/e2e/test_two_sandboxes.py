"""Two sandboxes on one server under traffic at the same time: neither ever sees the other."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.stateful.provider_calls import FACES, Face

if TYPE_CHECKING:
    from tests.e2e.conftest import Server

SECONDS = float(os.environ.get("UPSIM_WORLDS_SECONDS", "6"))
CONNECTIONS = 16
PATIENCE = 30.0
BALANCES = {
    "wavespeed": ("/wavespeed/api/v3/balance", ("data", "balance")),
    "piapi": ("/piapi/account/info", ("data", "equivalent_in_usd")),
    "vicsee": ("/vicsee/api/v1/credits", ("data", "credits")),
}
UNKNOWN_KEY = {401, 403}


@dataclass
class World:
    """One sandbox and what its 16 connections did."""

    server: Server
    id: str
    keys: dict[str, str]
    year: str
    video: str
    jobs: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in FACES})
    answers: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    sent: int = 0
    deleted: float | None = None
    strange: list[str] = field(default_factory=list)

    @property
    def gone(self) -> bool:
        """Whether it was deleted."""
        return self.deleted is not None

    def count(self, what: str, provider: str = "") -> int:
        """Return how many calls of a kind were answered with 200."""
        return sum(
            number
            for (kind, name, status), number in self.answers.items()
            if kind == what and provider in ("", name) and status == 200
        )


def made(server: Server, year: str, **order: object) -> World:
    """Make a sandbox whose clock stands in this year."""
    found = server.admin("POST", "sandboxes", order)
    video = server.clip("160x120", "10", "2")
    return World(server, found["id"], found["keys"], year, video)


class Traffic:
    """One world's connections, which also try what belongs to the other world."""

    def __init__(self, world: World, other: World, http: httpx.AsyncClient) -> None:
        """Send everything by this client."""
        self.world, self.other, self.http = world, other, http

    async def run(self, number: int, until: float) -> None:
        """One connection's calls, one after the other."""
        world, names = self.world, itertools.cycle(FACES)
        for _ in range(number):
            next(names)
        for turn in itertools.count():
            if time.monotonic() >= until:
                return
            face = FACES[next(names)]
            if turn % 6 in (0, 1):
                await self.submit(face)
            elif turn % 6 in (2, 3):
                await self.poll(face)
            elif turn % 6 == 4:
                await self.trespass(face)
            else:
                await self.look(face)
            if number == 0 and not world.gone and world.year == "2026":
                path = f"/__sim/sandboxes/{world.id}/clock/advance"
                await self.admin(path, {"seconds": 20})

    async def call(
        self, what: str, face: Face, method: str, path: str, body: object = None
    ) -> httpx.Response:
        """Make one call with this world's key and note how it was answered."""
        world = self.world
        headers = face.headers(world.keys[face.name])
        began = time.monotonic()
        answer = await self.http.request(method, path, json=body, headers=headers)
        world.sent += 1
        world.answers[what, face.name, answer.status_code] += 1
        if answer.status_code >= 500:
            world.strange.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        after = world.deleted is not None and began > world.deleted
        if after and answer.status_code not in UNKNOWN_KEY:
            world.strange.append(f"after its end: {method} {path}: {answer.status_code}")
        if any(name in answer.text for name in (self.other.id, *self.other.keys.values())):
            world.strange.append(f"{method} {path} tells of {self.other.id}: {answer.text[:200]}")
        return answer

    async def admin(self, path: str, body: object) -> None:
        """Call the admin API."""
        headers = {"Authorization": f"Bearer {self.world.server.admin_token}"}
        answer = await self.http.post(path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text

    async def submit(self, face: Face) -> None:
        """Submit, with a webhook where there are any; sometimes the request is held open."""
        world = self.world
        request = face.submit(world.video, face.options[0])
        hook = f"{world.server.base_url}/__sim/sandboxes/{world.id}/inbox/hooks"
        path, body = request.path, request.body
        assert isinstance(body, dict)
        if face.name == "wavespeed":
            path = f"{path}?webhook={hook}"
            body = {**body, "enable_sync_mode": world.year != "2026" and world.sent % 10 == 0}
        elif face.name == "piapi":
            body = {**body, "config": {"webhook_config": {"endpoint": hook, "secret": world.id}}}
        answer = await self.call("submit", face, request.method, path, body)
        if answer.status_code == 200:
            world.jobs[face.name].append(face.job_of(answer.json()))

    async def poll(self, face: Face) -> None:
        """Ask for a job of one's own, and fetch its output once it is there."""
        world = self.world
        if not world.jobs[face.name]:
            return
        jobs = world.jobs[face.name]
        request = face.poll(jobs[world.sent % len(jobs)])
        answer = await self.call("poll", face, request.method, request.path, request.body)
        url = face.url_of(answer.json()) if answer.status_code == 200 else None
        if url is not None and world.sent % 5 == 0:
            output = await self.http.get(url)
            world.answers["download", face.name, output.status_code] += 1
            if not world.gone and output.headers["date"][12:16] != world.year:
                world.strange.append(f"{url}: the date is {output.headers['date']}")

    async def trespass(self, face: Face) -> None:
        """Ask for a job and a file of the other world, in vain."""
        theirs = self.other.jobs[face.name]
        if not theirs:
            return
        request = face.poll(theirs[-1])
        answer = await self.call("trespass", face, request.method, request.path, request.body)
        path = f"/sandbox/{self.world.id}/media/outputs/{theirs[-1]}.mp4"
        file = await self.http.get(path)
        if answer.status_code == 200 or file.status_code == 200:
            self.world.strange.append(f"{theirs[-1]} of {self.other.id} is seen")

    async def look(self, face: Face) -> None:
        """Ask for the balance, which is of another magnitude in the other world."""
        if face.name not in BALANCES:
            return
        path, place = BALANCES[face.name]
        answer = await self.call("look", face, "GET", path)
        if answer.status_code == 200:
            found: Any = answer.json()
            for part in place:
                found = found[part]
            rich = Decimal(str(found)) > 10**6
            if rich != (self.world.year == "2026"):
                self.world.strange.append(f"{path}: {found}")


async def traffic(left: World, right: World, end: Callable[[], None]) -> None:
    """Let both have their traffic; in the middle of it `end` is called."""
    limits = httpx.Limits(max_connections=CONNECTIONS)
    server, until = left.server, time.monotonic() + SECONDS

    async def one(world: World, other: World) -> None:
        async with httpx.AsyncClient(
            base_url=server.base_url, trust_env=False, timeout=PATIENCE, limits=limits
        ) as http:
            runs = Traffic(world, other, http)
            await asyncio.gather(*(runs.run(number, until) for number in range(CONNECTIONS)))

    async def middle() -> None:
        await asyncio.sleep(SECONDS / 2)
        await asyncio.to_thread(end)

    await asyncio.gather(one(left, right), one(right, left), middle())


RICH = dict.fromkeys(FACES, "100000000000000")
POOR = {"wavespeed": "900000", "venice": "900000", "piapi": "9000000000", "vicsee": "900000"}


@dataclass(frozen=True, slots=True)
class Ran:
    """Two worlds after their traffic, and what the server wrote."""

    left: World
    right: World
    log: str


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run both worlds once; the right one is deleted in the middle."""
    from tests.e2e.conftest import running

    folder: Path = tmp_path_factory.mktemp("worlds")
    with running(folder) as server:
        left = made(
            server, "2026", scenario="piapi/fails-and-refunds", clock="manual", balances=RICH
        )
        clock = {"mode": "scaled:30", "now": "2031-05-05T00:00:00Z"}
        right = made(server, "2031", scenario="venice/happy-path-fast", clock=clock, balances=POOR)

        def end() -> None:
            server.admin("DELETE", f"sandboxes/{right.id}")
            right.deleted = time.monotonic()

        asyncio.run(traffic(left, right, end))
        server.admin("POST", f"sandboxes/{left.id}/clock/advance", {"to": "idle"})
        checked(left)
    return Ran(left, right, (folder / "server.log").read_text("utf-8"))


def checked(world: World) -> None:
    """Note what the server itself says of a world, and what in it is not as it must be."""
    admin, root = world.server.admin, f"sandboxes/{world.id}"
    box = admin("GET", root)
    inbox = admin("GET", f"{root}/inbox/hooks/messages?limit=1")["total"]
    told = admin("GET", f"{root}/webhooks?limit=1")["total"]
    if box["requests"] != world.sent + told:
        world.strange.append(f"{box['requests']} in the journal of {world.sent} and {told}")
    if not inbox:
        world.strange.append("nothing came to the inbox")
    for account in admin("GET", f"{root}/accounts")["accounts"]:
        lines = _ledger(world, account["provider"])
        total = sum((Decimal(line["amount"]) for line in lines), Decimal(account["opening"]))
        kinds = Counter(line["kind"] for line in lines)
        jobs = Counter((line["job"], line["kind"]) for line in lines)
        accepted = world.count("submit", account["provider"])
        expected = Counter(charge=accepted)
        if account["provider"] == "piapi":
            expected["refund"] = accepted
        if (total, kinds) != (Decimal(account["balance"]), expected) or max(jobs.values()) > 1:
            world.strange.append(f"{account}: {total}, {kinds}, accepted {accepted}")


def _ledger(world: World, provider: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    while True:
        path = f"sandboxes/{world.id}/ledger?provider={provider}&limit=1000&offset={len(found)}"
        page = world.server.admin("GET", path)["entries"]
        found += page
        if not page:
            return found


def test_neither_sees_the_other(ran: Ran) -> None:
    """No id, key, balance, date, file or 5xx of the one appears in the other; money is exact."""
    assert (ran.left.strange[:5], ran.right.strange[:5]) == ([], [])


def test_both_worked(ran: Ran) -> None:
    """Every kind of call of every provider was answered in both, before and after the end."""
    for world in (ran.left, ran.right):
        for provider in FACES:
            assert world.count("submit", provider), world.answers
            assert world.count("poll", provider), world.answers
        assert world.count("download")
    refused = {status for (_, _, status) in ran.right.answers} & UNKNOWN_KEY
    assert refused == {401}


def test_no_job_is_in_both(ran: Ran) -> None:
    """Ids are drawn from streams of their own."""
    for provider in FACES:
        left, right = ran.left.jobs[provider], ran.right.jobs[provider]
        assert len({*left, *right}) == len(left) + len(right)


def test_the_server_had_no_trouble(ran: Ran) -> None:
    """Deleting a sandbox in the middle of its traffic leaves no traceback."""
    assert "Traceback" not in ran.log
    assert "a bug of upsim" not in ran.log
