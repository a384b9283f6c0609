"""The client's clock and randomness: the only module of the client that uses real time.

A client in production uses real time. Code that must be repeatable takes a sleeper, a seed or `now`
as an argument.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Protocol


class Dice(Protocol):
    """A source of random numbers from 0 up to 1."""

    def random(self) -> float:
        """Return the next number."""


def dice(seed: int | None) -> Dice:
    """Return a source of random numbers; with a seed, the numbers are the same each time."""
    return random.Random(seed)  # noqa: S311 - it spreads pauses, it keeps no secret


def wall() -> float:
    """Return the seconds since 1970."""
    return time.time()


def stopwatch() -> float:
    """Return seconds of a monotonic clock."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait in real time."""
    time.sleep(seconds)


async def sleep_async(seconds: float) -> None:
    """Wait in real time without blocking the event loop."""
    await asyncio.sleep(seconds)


def ring(alarm: asyncio.Timeout, seconds: float) -> None:
    """Set a running time-out of the event loop to expire after some seconds."""
    alarm.reschedule(asyncio.get_running_loop().time() + seconds)
