"""Real time and real cancelling, against a server that runs at its usual pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.client.client_targets import clip, hand, in_process, over_socket
from tests.e2e.conftest import Server
from upsim.client import Polling, clocks, connect, connect_async, sandbox_sleeper

MODEL = "piapi/Qubico/video-toolkit"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Return the stack that closes the sandboxes of a test."""
    with ExitStack() as entered:
        yield entered


@pytest.mark.parametrize("with_sleeper", [False, True], ids=["own", "sandbox"])
def test_client_waits_in_real_time(
    stack: ExitStack,
    client_server: Server,
    tmp_path: Path,
    with_sleeper: bool,  # noqa: FBT001 - a table
) -> None:
    """With a real clock the client waits in real time, with or without the sandbox's sleeper."""
    world = over_socket(stack, MODEL, client_server, clock="real", scenario="piapi/happy-path-fast")
    sleeper = sandbox_sleeper(world.admin_url, world.sandbox, token=world.token)
    began = time.monotonic()
    with connect(
        MODEL,
        api_key=world.key,
        base_url=world.base_url,
        sleeper=sleeper if with_sleeper else None,
        polling=Polling(first=0.1, factor=1, jitter=0),
    ) as client:
        client.upscale(clip("64x36_10fps_1s.mp4"), tmp_path / "out.mp4")

    assert 0.1 <= time.monotonic() - began


def test_client_waits_in_scaled_time(
    stack: ExitStack, client_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock at 1,000 times the speed, the client waits two minutes in a moment."""
    slept: list[float] = []
    sleep = clocks.sleep

    def noted(seconds: float) -> None:
        slept.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(clocks, "sleep", noted)
    world = over_socket(stack, MODEL, client_server, clock="scaled:1000")
    client = hand(world)
    client.upscale(clip("64x36_10fps_1s.mp4"), tmp_path / "out.mp4")

    assert 0 < sum(slept) < 1


def test_cancelled_wait_leaves_no_file(stack: ExitStack, tmp_path: Path) -> None:
    """A cancelled wait ends at once without a file or partial file; the job continues."""
    world = in_process(stack, MODEL)
    http = world.async_http()

    async def run() -> None:
        asleep = asyncio.Event()

        async def sleep(_seconds: float) -> None:
            asleep.set()
            await asyncio.Event().wait()

        async with (
            http,
            connect_async(
                MODEL, api_key="k", base_url=world.base_url, http=http, sleeper=sleep
            ) as client,
        ):
            content = clip("64x36_10fps_1s.mp4")
            work = asyncio.create_task(client.upscale(content, tmp_path / "out.mp4"))
            await asleep.wait()
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work

    asyncio.run(run())

    assert (len(world.entries("charge")), list(tmp_path.iterdir())) == (1, [])


async def test_async_sleeper_and_progress_are_awaited(stack: ExitStack, tmp_path: Path) -> None:
    """An async client awaits the caller's own sleeper and progress functions."""
    world = in_process(stack, MODEL, clock="auto")
    http, seen = world.async_http(), []

    async def sleep(seconds: float) -> None:
        seen.append(seconds)

    async def told(_progress: object) -> None:
        seen.append(0)

    async with (
        http,
        connect_async(
            MODEL, api_key="k", base_url=world.base_url, http=http, sleeper=sleep, progress=told
        ) as client,
    ):
        await client.upscale(clip("64x36_10fps_1s.mp4"), tmp_path / "out.mp4")
    assert (0 in seen, any(seen)) == (True, True)


def test_ten_simultaneous_upscales(stack: ExitStack, tmp_path: Path) -> None:
    """Ten simultaneous upscales of one client give ten jobs, ten files and ten charges."""
    world = in_process(stack, MODEL, clock="auto")
    http = world.async_http()
    content = clip("64x36_10fps_1s.mp4")

    async def run() -> int:
        async with (
            http,
            connect_async(
                MODEL, api_key="k", base_url=world.base_url, http=http, sleeper=lambda _s: None
            ) as client,
        ):
            paths = [tmp_path / f"{number}.mp4" for number in range(10)]
            done = await asyncio.gather(*(client.upscale(content, path) for path in paths))
        return len({upscaled.job.id for upscaled in done})

    assert (asyncio.run(run()), len(world.entries("charge"))) == (10, 10)
    assert len(list(tmp_path.iterdir())) == 10
