"""Compare how long a recording's jobs were processed with the longest documented time.

The time is the one in a response, or the time between the first and the last poll that found
the job in progress. The wait before processing depends on the queue, and no document limits it.
A faster job is not reported, because another implementation of the API may be faster.
"""

from __future__ import annotations

from decimal import Decimal

from upsim_contracts.cassettes.cassette import Cassette, RecordedExchange
from upsim_contracts.cassettes.cassette_lines import LARGEST
from upsim_contracts.charge_check import plain
from upsim_contracts.drift.exchange_checks import CheckedExchange, place_of
from upsim_contracts.drift.recorded_jobs import RecordedJob, jobs_of
from upsim_contracts.expected_responses import ABSENT, at
from upsim_contracts.facts.fact_files import seconds
from upsim_contracts.facts.promises import Time
from upsim_contracts.findings import Finding
from upsim_contracts.request_costs import CostTable

SLOW = "slow"
_MILLISECONDS = 1000


def slow_jobs(cassette: Cassette, costs: CostTable) -> list[tuple[CheckedExchange, list[int]]]:
    """Return a finding for the jobs that took longer than a document states, if there are any."""
    found: list[tuple[CheckedExchange, list[int]]] = []
    for job in jobs_of(cassette, costs).values():
        form = costs.call(job.made.method, job.made.path)
        for time in costs.book.times:
            if form is not None and form.name == time.call:
                found += _slow(cassette, costs, time, job)
    return found


def _slow(
    cassette: Cassette, costs: CostTable, time: Time, job: RecordedJob
) -> list[tuple[CheckedExchange, list[int]]]:
    most = _most(time, job)
    told = _told(time, job)
    end = job.completed or job.failed
    shown = told if told is not None else _proved(time, job)
    if most is None or shown is None or shown <= most:
        return []
    last = end if told is not None and end is not None else job.at_work[-1][1]
    place = place_of(costs.book.provider, cassette.header.dialect, last)
    name = place[1].name if place is not None else last.call
    where = time.read if told is not None else "processing time"
    seen = f"{'' if told is not None else 'more than '}{_rounded(shown)} s"
    expected = f"at most {_rounded(most)} s"
    if time.per_second:
        expected += f" for {plain(_length(job) or Decimal(0))} s of video"
    source = costs.cited(time.fact)
    finding = Finding(costs.book.provider, name, where, expected, seen, source)
    return [(CheckedExchange("contract", finding, where, (SLOW,)), [last.number])]


def _most(time: Time, job: RecordedJob) -> Decimal | None:
    """Return the longest documented time for a job; None if its video is unknown."""
    if time.at_most:
        return Decimal(str(seconds(time.at_most)))
    length = _length(job)
    return None if length is None else Decimal(time.per_second) * length


def _length(job: RecordedJob) -> Decimal | None:
    lengths = [Decimal(str(one["seconds"])) for one in job.made.media.values()]
    return max(lengths, default=None)


def _told(time: Time, job: RecordedJob) -> Decimal | None:
    """Return the seconds that the response about a completed job states."""
    if job.completed is None or not time.read:
        return None
    found = at(job.completed.answer.body.get("json", ABSENT), time.read)
    is_number = isinstance(found, int | Decimal) and not isinstance(found, bool)
    amount = Decimal(str(found)) if is_number else LARGEST
    return amount / _MILLISECONDS if amount < LARGEST else None


def _proved(time: Time, job: RecordedJob) -> Decimal | None:
    """Return the seconds from the first to the last poll that found the job in progress.

    Returns None for fewer than two polls.
    """
    polls: list[RecordedExchange] = [one for word, one in job.at_work if word.lower() == time.word]
    return polls[-1].at - polls[0].at - polls[0].took if len(polls) > 1 else None


def _rounded(amount: Decimal) -> str:
    return plain(round(amount, 1))
