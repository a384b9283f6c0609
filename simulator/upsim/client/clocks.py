"""The client's own clock and dice: the one place of it that reads time, waits or draws.

A production client lives in real time; whatever is to be repeatable takes a sleeper, a seed, or
`now` as an argument.
"""

from __future__ import annotations

import asyncio
import random
import time
from email.utils import parsedate_to_datetime
from typing import Protocol


class Dice(Protocol):
    """A stream of numbers from 0 up to 1."""

    def random(self) -> float:
        """The next one."""


def dice(seed: int | None) -> Dice:
    """A stream that a seed repeats; without one it is different each time."""
    return random.Random(seed)  # noqa: S311 - it spreads pauses, it keeps no secret


def wall() -> float:
    """Seconds since 1970."""
    return time.time()


def stopwatch() -> float:
    """Seconds of a clock that never goes back."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait in real time."""
    time.sleep(seconds)


async def sleep_async(seconds: float) -> None:
    """Wait in real time, letting others work."""
    await asyncio.sleep(seconds)


def ring(alarm: asyncio.Timeout, seconds: float) -> None:
    """Let a time-out of the running event loop end so many seconds from now."""
    alarm.reschedule(asyncio.get_running_loop().time() + seconds)


def seconds_until(told: str, date: str) -> float | None:
    """The seconds that a `Retry-After` asks for; None when it says nothing that can be read.

    A date is compared with the server's own `Date`, so that its clock need not be ours.
    """
    text = told.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    until = _timestamp(text)
    if until is None:
        return None
    sent = _timestamp(date)
    return max(0.0, until - (wall() if sent is None else sent))


def _timestamp(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
