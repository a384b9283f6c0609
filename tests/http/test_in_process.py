"""A simulator in process, called from where its clients are."""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from upsim import Simulator


def test_many_threads_may_share_a_client() -> None:
    """Several threads may use one sync client; their requests run one after another."""
    with Simulator(clock="auto") as sim:
        headers = {"Authorization": "Bearer any"}
        with (
            httpx.Client(transport=sim.transport(), headers=headers) as http,
            ThreadPoolExecutor(8) as threads,
        ):
            url = f"{sim.base_url('vicsee')}/api/v1/credits"
            answers = list(threads.map(lambda _: http.get(url).status_code, range(64)))

    assert answers == [200] * 64


def test_a_sync_request_in_an_event_loop_is_refused() -> None:
    """The error of a sync request in a running event loop says what to do."""

    async def call() -> None:
        with Simulator() as sim, httpx.Client(transport=sim.transport()) as http:
            http.get(f"{sim.base_url('vicsee')}/api/v1/credits")  # noqa: ASYNC212 - the mistake

    with pytest.raises(RuntimeError, match="give its transport to an httpx"):
        asyncio.run(call())


def test_sync_requests_leave_signals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No request sets a signal handler."""
    with Simulator() as sim, httpx.Client(transport=sim.transport()) as http:
        monkeypatch.delattr(signal, "signal")
        answer = http.get(f"{sim.base_url('vicsee')}/api/v1/credits")

    assert answer.status_code == 401


def test_an_interrupted_request_ends_before_the_next() -> None:
    """Ctrl-C cancels the running request, and the simulator answers the next one."""
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
