"""The jobs in a cassette: the price of each, and the exchanges that started and ended it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from upsim_contracts.cassettes.bodies import strings
from upsim_contracts.cassettes.cassette import Cassette, RecordedExchange
from upsim_contracts.expected_responses import ABSENT, at
from upsim_contracts.provider_words import said
from upsim_contracts.request_costs import CostTable

_BROKEN = 500
_SUCCESS = range(200, 300)


@dataclass(slots=True, eq=False)
class RecordedJob:
    """A job: the request that created it, the first response with its end, and earlier polls."""

    made: RecordedExchange
    failed: RecordedExchange | None = None
    completed: RecordedExchange | None = None
    at_work: list[tuple[str, RecordedExchange]] = field(default_factory=list)
    """Each status that a poll returned before the end, as a word, with its exchange."""

    @property
    def price(self) -> Decimal | None:
        """Return the amount that the balance lost for the job, else its documented price.

        Returns None if both are unknown.
        """
        charge = self.made.charge
        actual = charge.actual if charge is not None else None
        return self.documented if actual is None else actual

    @property
    def documented(self) -> Decimal | None:
        """Return the documented price of the job; None if it is unknown."""
        return self.made.charge.documented if self.made.charge is not None else None


def jobs_of(cassette: Cassette, costs: CostTable) -> Mapping[str, RecordedJob]:
    """Return the jobs created in a cassette, by their id, in the order of submits."""
    jobs: dict[str, RecordedJob] = {}
    polled = _polled(cassette, costs)
    for one in cassette.exchanges:
        form = costs.call(one.method, one.path)
        if form is None:
            continue
        document = one.answer.body.get("json", ABSENT)
        made = at(document, form.job) if form.job and one.status in _SUCCESS else None
        if made is ABSENT and form.paid:  # the id has another name
            new = polled.difference(strings(one.request.body.get("json")))
            made = next((text for text in strings(document) if text in new), None)
        if isinstance(made, str):
            _tell(
                jobs.setdefault(made, RecordedJob(one)),
                one,
                _word(one, costs, is_poll=False),
                costs,
            )
        word = _word(one, costs, is_poll=form.name == costs.book.lifecycle.call)
        for name in _named(one, jobs) if word else ():
            _tell(jobs[name], one, word, costs)
    return jobs


def _polled(cassette: Cassette, costs: CostTable) -> set[str]:
    """Return all texts in polls; the ids of polled jobs are among these texts."""
    found: set[str] = set()
    for one in cassette.exchanges:
        form = costs.call(one.method, one.path)
        if form is not None and form.name == costs.book.lifecycle.call:
            found.update(one.path.partition("?")[0].split("/"))
            found.update(strings(one.request.body.get("json")))
    return found


def _named(one: RecordedExchange, jobs: Mapping[str, RecordedJob]) -> Iterator[str]:
    """Yield the ids of the jobs that a request names."""
    told = {*one.path.partition("?")[0].split("/"), *strings(one.request.body.get("json"))}
    yield from (name for name in told if name in jobs)


def _word(one: RecordedExchange, costs: CostTable, *, is_poll: bool) -> str:
    """Return the status of a job in a response; an empty text for an outage."""
    document = one.answer.body.get("json", ABSENT)
    found = at(document, costs.book.lifecycle.read)
    if isinstance(found, str):
        return found
    if not is_poll:
        return ""
    refunds = costs.book.refunds
    known = refunds.texts if refunds is not None else ()
    text = said(document, "").message
    return "" if one.status >= _BROKEN and text not in known else f"http {one.status}"


def _tell(job: RecordedJob, one: RecordedExchange, word: str, costs: CostTable) -> None:
    """Note the status of a job in a response."""
    words = costs.book.lifecycle.words
    if word in words.get("failed", ()):
        job.failed = job.failed or one
    elif word in words.get("completed", ()):
        job.completed = job.completed or one
    elif word:
        job.at_work.append((word, one))
