"""The client's checks before a job is paid for: that it is open, and that it can wait."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from upsim import Simulator
from upsim.client import ClientError, Job, connect, connect_async, sandbox_sleeper

HOME = "http://127.0.0.1"
CLIP = f"{HOME}/media/synthetic/640x360_30fps_1s.mp4"


def test_unusable_sleeper_is_reported_before_the_submit(tmp_path: Path) -> None:
    """A sleeper for a missing sandbox raises an error before the submit, sync and async."""
    with Simulator() as sim:
        http = httpx.Client(transport=sim.transport())
        sleeper = sandbox_sleeper(HOME, sandbox="nope", http=http)
        client = connect(
            "venice", api_key="k", base_url=f"{HOME}/venice", http=http, sleeper=sleeper
        )
        with pytest.raises(ClientError, match=r"clock: 404 .*'nope'"):
            client.upscale(CLIP, tmp_path / "out.mp4", factor=2)
        with pytest.raises(ClientError, match=r"clock: 404 .*'nope'"):
            asyncio.run(_submit(sim))
        assert not sim.sandbox.state.jobs
        assert len(sim.sandbox.records) == 0


async def _submit(sim: Simulator) -> Job:
    async with httpx.AsyncClient(transport=sim.transport()) as http:
        sleeper = sandbox_sleeper(HOME, sandbox="nope", http=http)
        client = connect_async(
            "venice", api_key="k", base_url=f"{HOME}/venice", http=http, sleeper=sleeper
        )
        return await client.submit(CLIP, factor=2)


def test_closed_client_refuses_calls() -> None:
    """A client that is used after its `with` block raises an error: it is closed."""
    client = connect("venice", api_key="k", base_url=f"{HOME}/venice")
    with client:
        pass
    with pytest.raises(ClientError, match=r"this client is closed: .* or connect again"):
        client.balance()
    with pytest.raises(ClientError, match="this client is closed"):
        asyncio.run(_call_closed())


async def _call_closed() -> None:
    async with httpx.AsyncClient() as http:
        client = connect_async("venice", api_key="k", base_url=f"{HOME}/venice", http=http)
        await client.close()
        await client.jobs()
