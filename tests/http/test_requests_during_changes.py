"""What happens to a request while the world around it changes: two at once, resets, deletions."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.http.conftest import LOCAL, SAMPLES
from tests.uploads import put_request

if TYPE_CHECKING:
    from tests.http.conftest import Admin

CLIP = f"{LOCAL}/media/synthetic/64x36_10fps_1s.mp4"


@asynccontextmanager
async def slow_file(content: bytes, asked: asyncio.Event) -> AsyncIterator[tuple[str, Release]]:
    """Serve a file on this machine that comes only when it is released."""
    released = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await released.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"http://127.0.0.1:{port}/clip.mp4", released.set


Release = Callable[[], None]


def client(admin: Admin, key: str) -> httpx.AsyncClient:
    """Return an asynchronous client of VicSee."""
    return httpx.AsyncClient(
        transport=admin.sim.transport(),
        base_url=f"{LOCAL}/vicsee",
        headers={"authorization": f"Bearer {key}"},
    )


@pytest.mark.parametrize("call", ["POST sandboxes/box/reset", "DELETE sandboxes/box"])
async def test_a_reset_during_a_measurement_leaves_nothing(admin: Admin, call: str) -> None:
    """A request that measures a video during a reset ends, and leaves nothing."""
    async with httpx.AsyncClient(transport=admin.sim.transport(), base_url=LOCAL) as http:
        made = (await http.post("/__sim/sandboxes", json={"id": "box"})).json()
        content = (await http.get(CLIP)).content
        asked = asyncio.Event()
        caller = client(admin, made["keys"]["vicsee"])
        async with slow_file(content, asked) as (url, release), caller:
            body = {"video_url": url}
            submit = asyncio.create_task(caller.post(SAMPLES["vicsee"].path, json=body))
            await asked.wait()
            method, path = call.split()
            await http.request(method, f"/__sim/{path}")
            release()
            answer = await submit
        await http.post("/__sim/sandboxes", json={"id": "box"})
        jobs = (await http.get("/__sim/sandboxes/box/jobs")).json()
    assert (answer.status_code < 500, jobs["total"]) == (True, 0)


async def test_two_uploads_to_one_ticket(admin: Admin) -> None:
    """Of two simultaneous files for one ticket, one is stored and the other is refused."""
    async with client(admin, "sk-any") as http:
        asked = {"contentType": "video/mp4", "sizeBytes": 5}
        ticket = (await http.post("/api/v1/upload", json=asked)).json()["data"]
        answers = await asyncio.gather(
            *(
                http.send(put_request(http, ticket["uploadUrl"], content))
                for content in (b"first", b"other")
            )
        )
        stored = (await http.get(ticket["publicUrl"])).content
    statuses = sorted(answer.status_code for answer in answers)
    assert (statuses, stored in (b"first", b"other")) == ([200, 412], True)


async def test_money_for_one_buys_one(admin: Admin) -> None:
    """Of ten simultaneous submits with money for one, one succeeds."""
    made = admin.sim.registry
    async with httpx.AsyncClient(transport=admin.sim.transport(), base_url=LOCAL) as http:
        order = {"id": "poor", "balances": {"vicsee": "144"}}
        keys = (await http.post("/__sim/sandboxes", json=order)).json()["keys"]
        async with client(admin, keys["vicsee"]) as caller:
            body = {"video_url": "https://clips.example/v.mp4"}
            path = SAMPLES["vicsee"].path
            answers = await asyncio.gather(*(caller.post(path, json=body) for _ in range(10)))
    (account,) = made.sandboxes["poor"].state.accounts.values()
    statuses = sorted(answer.status_code for answer in answers)
    assert (statuses, int(account.balance)) == ([200] + [402] * 9, 0)


async def test_a_clip_with_many_downloads_is_made_once(admin: Admin) -> None:
    """Twenty simultaneous downloads of one clip get the same bytes."""
    async with httpx.AsyncClient(transport=admin.sim.transport(), base_url=LOCAL) as http:
        answers = await asyncio.gather(*(http.get(CLIP) for _ in range(20)))
    assert len({hashlib.sha256(answer.content).digest() for answer in answers}) == 1


async def test_an_advance_lets_other_requests_in_between(admin: Admin) -> None:
    """During a long advance, another request sees an instant on the way."""
    async with httpx.AsyncClient(transport=admin.sim.transport(), base_url=LOCAL) as http:
        async with client(admin, "sk-any") as caller:
            body = {"video_url": "https://clips.example/v.mp4"}
            for _ in range(20):
                await caller.post(SAMPLES["vicsee"].path, json=body)
        path = "/__sim/sandboxes/default/clock"
        advance = http.post(f"{path}/advance", json={"seconds": 3600})
        _, seen = await asyncio.gather(advance, http.get(path))
    now = seen.json()["now"]
    assert "2026-01-01T00:00:00" < now < "2026-01-01T01:00:00"
