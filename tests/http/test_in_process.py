"""A simulator in process, called from where its clients are."""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from upsim import Simulator


def test_many_threads() -> None:
    """One sync client may be used by several threads; their calls take turns."""
    with Simulator(clock="auto") as sim:
        headers = {"Authorization": "Bearer any"}
        with (
            httpx.Client(transport=sim.transport(), headers=headers) as http,
            ThreadPoolExecutor(8) as threads,
        ):
            url = f"{sim.base_url('vicsee')}/api/v1/credits"
            answers = list(threads.map(lambda _: http.get(url).status_code, range(64)))

    assert answers == [200] * 64


def test_sync_call_from_async_code() -> None:
    """A sync call that an event loop runs is refused with a sentence that says what to do."""

    async def call() -> None:
        with Simulator() as sim, httpx.Client(transport=sim.transport()) as http:
            http.get(f"{sim.base_url('vicsee')}/api/v1/credits")  # noqa: ASYNC212 - the mistake

    with pytest.raises(RuntimeError, match="give its transport to an httpx"):
        asyncio.run(call())


def test_sync_calls_leave_signals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call sets a signal handler, which takes longer than all else of its event loop."""
    with Simulator() as sim, httpx.Client(transport=sim.transport()) as http:
        monkeypatch.delattr(signal, "signal")
        answer = http.get(f"{sim.base_url('vicsee')}/api/v1/credits")

    assert answer.status_code == 401


def test_interrupted_call_ends_before_the_next() -> None:
    """Ctrl-C cancels the call that it interrupts, and the simulator answers the next one."""
    ended: list[str] = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    async def endless() -> None:
        asyncio.get_running_loop().call_soon(interrupt)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    with Simulator() as sim, httpx.Client(transport=sim.transport()) as http:
        with pytest.raises(KeyboardInterrupt):
            sim._run(endless)
        answer = http.get(f"{sim.base_url('vicsee')}/api/v1/credits")

    assert (ended, answer.status_code) == (["cancelled"], 401)
