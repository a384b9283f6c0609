"""How long jobs of a recording took, as far as its polls prove it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.drifts.written_cassette import taped
from upsim_contracts.drift.durations import slow_jobs
from upsim_contracts.request_costs import CostTable
from upsim_contracts.verify.run import book_of, pricer

MADE = ("submit", "a", 32)
QUEUED, AT_WORK = ("poll", "a", "pending"), ("poll", "a", "processing")
DONE = ("poll", "a", "completed")
LONG = ("wait", 200)
CASES: dict[str, tuple[Sequence[tuple[Any, ...]], Sequence[str]]] = {
    "at work for longer than documented": (
        [MADE, AT_WORK, LONG, AT_WORK, DONE],
        ["at most 120 s, seen more than 201 s"],
    ),
    "at work, without an end": (
        [MADE, AT_WORK, LONG, AT_WORK],
        ["at most 120 s, seen more than 201 s"],
    ),
    "for long in the queue": ([MADE, QUEUED, LONG, QUEUED, AT_WORK, DONE], []),
    "polled rarely": ([MADE, AT_WORK, LONG, DONE], []),
    "never polled": ([MADE], []),
}


@pytest.mark.parametrize("name", CASES)
def test_slow_jobs_are_proved_by_polls(name: str) -> None:
    """A job is slow by the time between two polls that found it running; its queue is ignored."""
    steps, expected = CASES[name]
    found = slow_jobs(taped(steps), CostTable(book_of("vicsee"), pricer("vicsee")))

    assert expected == [f"{one.finding.expected}, seen {one.finding.seen}" for one, _ in found]
