"""How much slower this machine is just now than the one on which bars of CPU time were set."""

from __future__ import annotations

import time

REFERENCE = 0.013
"""Seconds that `_work` took there."""
TRIES = 3


def slowness() -> float:
    """Return 1.0 or more, by the shortest of three runs of work of a known size.

    CPU time does not count what other processes take, but a shared or throttled processor does
    less in it.
    """
    return max(1.0, min(map(_work, range(TRIES))) / REFERENCE)


def _work(start: int) -> float:
    began = time.thread_time()
    total = start
    for number in range(300_000):
        total += number % 7
    return time.thread_time() - began
