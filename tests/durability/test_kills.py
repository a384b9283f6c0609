"""A server with a durable store is killed under load: what its responses said holds."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Mapping
from pathlib import Path
from random import Random, SystemRandom

import pytest

from .checks import check
from .kills import Campaign, Figures, set_up, workers_of
from .load import load
from .receiver import Receiver
from .record import Record
from .server import Server


def run(campaign: Campaign, folder: Path, kills: int) -> Figures:
    """Kill servers, and return what was done."""
    figures = Figures()
    asyncio.run(campaign.kill(folder, kills, figures))
    return figures


@pytest.fixture
def seed() -> int:
    """Return a new seed, which a failure shows."""
    return SystemRandom().getrandbits(32)


def test_kills_lose_nothing_that_a_response_said(tmp_path: Path, seed: int) -> None:
    """After `kill -9`, jobs, money, keys, sandboxes, uploads and clocks are as responses said."""
    figures = run(Campaign(seed, latest=1.0), tmp_path, 3)

    assert (figures.kills, figures.answered > 100) == (3, True), figures


MAX_KILLS = 40
"""Kills until a mutant is noticed: mostly the first one does it, and a busy machine needs more."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.kills
@pytest.mark.parametrize(
    ("mutant", "options"), [("early", ()), ("any_batch", ("--fsync",))], ids=["early", "any-batch"]
)
def test_responses_that_leave_too_early_are_noticed(
    mutant: str, options: tuple[str, ...], tmp_path: Path, seed: int
) -> None:
    """With a slow store, the checks fail if responses do not wait for their own transaction."""
    alterations = {"KILLS_SLOW_MS": "50", "KILLS_MUTANT": mutant}
    with pytest.raises(AssertionError, match=r"lost|gone|was|went back"):
        run(Campaign(seed, options, alterations), tmp_path, MAX_KILLS)
    gc.collect()  # connections that the failed check left open are noticed here, not in other tests


@pytest.mark.kills
@pytest.mark.parametrize(
    ("options", "alterations", "how"),
    [
        (("--fsync",), {"KILLS_SLOW_MS": "50"}, signal.SIGKILL),
        ((), {"KILLS_MIN_BYTES": "50000"}, signal.SIGKILL),
        ((), {"KILLS_MIN_BYTES": "50000", "KILLS_SLOW_MS": "20"}, signal.SIGKILL),
        ((), {}, signal.SIGTERM),
    ],
    ids=["fsync", "compacting", "compacting-slowly", "graceful"],
)
def test_other_ways_to_end_lose_nothing(
    options: tuple[str, ...],
    alterations: Mapping[str, str],
    how: signal.Signals,
    tmp_path: Path,
    seed: int,
) -> None:
    """Synced writes, kills during a compaction, and a graceful stop keep everything too."""
    figures = run(Campaign(seed, options, alterations, how, latest=1.0), tmp_path, 2)

    assert (figures.kills, figures.answered > 50) == (2, True), figures


@pytest.mark.kills
def test_no_clock_goes_back_with_that_of_the_machine(tmp_path: Path, seed: int) -> None:
    """A restart on a machine whose clock was put back by an hour continues at the last request."""

    async def lives() -> int:
        server, record = Server(tmp_path, ("--pace", "200")), Record()
        async with Receiver() as receiver:
            workers = workers_of(record, Random(seed), receiver.url)  # noqa: S311 - no secret
            try:
                for wall in ("0", "-3600", "-7200"):
                    server.alterations = {"KILLS_WALL_SECONDS": wall}
                    await server.start()
                    await (check(server, record) if record.boxes else set_up(server, record))
                    running = asyncio.create_task(load(workers, server.base_url))
                    await asyncio.sleep(0.5)
                    server.end()
                    await running
            finally:
                server.end()
        return record.answered

    assert asyncio.run(lives()) > 50
