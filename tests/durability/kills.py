"""Kill a server under load, restart it on the same file, and check that nothing is lost."""

from __future__ import annotations

import asyncio
import signal
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from .checks import check, check_webhooks
from .load import CONNECTIONS, Worker, load, make
from .raw_http import Connection
from .receiver import Receiver
from .record import Box, Record
from .server import Server

LIVES = 5
"""Kills of one store."""
EARLIEST, LATEST = 0.1, 2.0
"""Seconds of load before a kill."""
SHARED = {"manual-1": "manual", "manual-2": "manual", "scaled": "scaled:60"}


@dataclass(slots=True)
class Figures:
    """The counts of a campaign."""

    kills: int = 0
    answered: int = 0
    unanswered: int = 0
    starts: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        """Return one line for the log."""
        return (
            f"{self.kills} kills, {self.answered} requests answered, {self.unanswered} submits "
            f"were under way; restarts: median {statistics.median(self.starts):.2f} s, "
            f"maximum {max(self.starts):.2f} s"
        )


@dataclass(frozen=True, slots=True)
class Campaign:
    """How servers are run and killed."""

    seed: int
    options: Sequence[str] = ()
    alterations: Mapping[str, str] = field(default_factory=dict)
    how: signal.Signals = signal.SIGKILL
    latest: float = LATEST

    async def kill(self, folder: Path, times: int, figures: Figures) -> None:
        """Kill servers `times` times, with a new store after every few kills."""
        random = Random(self.seed)  # noqa: S311 - no secret
        for number, first in enumerate(range(0, times, LIVES)):
            home = folder / f"store-{number}"
            home.mkdir()
            try:
                await self._one_store(home, min(LIVES, times - first), random, figures)
            except AssertionError as error:
                error.add_note(f"with {self}")
                raise

    async def _one_store(self, home: Path, lives: int, random: Random, figures: Figures) -> None:
        options = ("--pace", "200", *self.options)
        server, record = Server(home, options, self.alterations), Record()
        async with Receiver() as receiver:
            workers = workers_of(record, random, receiver.url)
            await server.start()
            try:
                await set_up(server, record)
                for _ in range(lives):
                    await self._one_life(server, workers, random)
                    figures.kills += 1
                    figures.unanswered += len(record.unanswered)
                    await server.start()
                    await check(server, record)
                await check_webhooks(server, record, receiver)
                assert "Traceback" not in server.log.read_text(), server.log.read_text()[-5000:]
            finally:
                server.end()
                figures.answered += record.answered
                figures.starts += server.starts[1:]

    async def _one_life(self, server: Server, workers: list[Worker], random: Random) -> None:
        seconds = random.uniform(EARLIEST, self.latest)
        running = asyncio.create_task(load(workers, server.base_url))
        await asyncio.sleep(seconds)
        await asyncio.to_thread(server.end, self.how)
        await running


def workers_of(record: Record, random: Random, hook: str) -> list[Worker]:
    """Return a worker for each connection."""
    return [Worker(number, record, _random(random), hook) for number in range(CONNECTIONS)]


def _random(source: Random) -> Random:
    return Random(source.getrandbits(64))  # noqa: S311 - no secret


async def set_up(server: Server, record: Record) -> None:
    """Make the sandboxes that all workers share."""
    record.boxes["default"] = Box("default", "real", "made")
    connection = await Connection.open(server.base_url)
    await connection.send([make(record, Box(name, clock)) for name, clock in SHARED.items()])
    connection.close()
