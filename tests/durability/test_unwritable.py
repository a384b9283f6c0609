"""A store that cannot be written for some time: requests are refused, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from .load import BALANCES, KEYS_OF_CALLERS, PATHS, key_headers
from .raw_http import Response
from .server import Server

KEYS = {name: form.format("callers-own-key") for name, form in KEYS_OF_CALLERS.items()}
REFUSALS = {
    "wavespeed": (507, b'{"code":507,"message":"Insufficient Storage"}'),
    "venice": (507, b'{"error":"Insufficient storage"}'),
    "piapi": (507, b'"code":507'),
    "vicsee": (507, b'"success":false'),
}
"""Status, and a part of the body that shows whose form it has."""
NOTICE_SECONDS = 30


async def submit(server: Server, name: str) -> Response:
    """Submit a video to WaveSpeed."""
    headers = key_headers("wavespeed", KEYS["wavespeed"])
    value = {"video": f"https://example.com/{name}.mp4"}
    return await server.send("POST", PATHS["wavespeed"], value, **headers)


async def _is_refusing(server: Server) -> bool:
    """Return whether the server knows; a response from just before waits like all others."""
    try:
        async with asyncio.timeout(1):
            return (await server.admin("GET", "readyz")).status == 503
    except TimeoutError:
        return False


async def refused(server: Server) -> None:
    """Wait until requests are refused, and look at the refusal of each provider."""
    async with asyncio.timeout(NOTICE_SECONDS):
        while not await _is_refusing(server):  # noqa: ASYNC110 - another process knows
            await asyncio.sleep(0.01)
    problem = (await server.admin("GET", "sandboxes")).json["error"]
    assert problem["code"] == "store_unavailable"
    assert "cannot be written" in problem["message"]
    assert (await server.admin("GET", "livez")).status == 200
    for provider, (status, part) in REFUSALS.items():
        for method, path in (("POST", PATHS[provider]), ("GET", BALANCES[provider])):
            headers = key_headers(provider, KEYS[provider])
            found = await server.send(method, path, {} if method == "POST" else None, **headers)
            assert (found.status, part in found.body) == (status, True), found


async def survives(server: Server, harm: Callable[[], None], undo: Callable[[], None]) -> None:
    """Make the store unwritable, then writable again; then kill the server."""
    await server.start()
    try:
        before = await submit(server, "before")
        harm()
        held = asyncio.create_task(submit(server, "held"))
        await refused(server)
        assert not held.done(), "a response left although the store does not hold its job"
        undo()
        answered = [before, await held, await submit(server, "after")]
        server.end()
        await server.start()
        jobs = await server.listed("sandboxes/default/jobs", "jobs")
    finally:
        server.end()
    assert [one.status for one in answered] == [200, 200, 200]
    assert {one.json["data"]["id"] for one in answered} == {job["id"] for job in jobs}
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="plain"),
        pytest.param(("--fsync",), id="fsync", marks=pytest.mark.kills),
    ],
)
def test_full_disk_refuses_requests_and_loses_nothing(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    """Responses that were due wait for room, new requests get the provider's own error."""
    server = Server(tmp_path, options)

    def limit(most: int) -> None:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    def fill() -> None:
        limit(Path(f"{server.store}-wal").stat().st_size)

    asyncio.run(survives(server, fill, partial(limit, resource.RLIM_INFINITY)))


def test_moved_store_refuses_requests_until_it_is_back(tmp_path: Path) -> None:
    """The server does not go on to write a file that no later server will find."""
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    server = Server(home)
    asyncio.run(survives(server, partial(os.rename, home, away), partial(os.rename, away, home)))


@pytest.mark.kills
def test_locked_store_refuses_requests_until_it_is_free(tmp_path: Path) -> None:
    """Another program may hold the file, such as a backup in the middle of a transaction."""
    server, other = Server(tmp_path), None

    def lock() -> None:
        nonlocal other
        other = sqlite3.connect(server.store, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

    def free() -> None:
        assert other is not None
        other.close()

    asyncio.run(survives(server, lock, free))
