"""A small model of jobs and money from the client's view, and the states that it allows.

If only commands advance the clock, the model is exact. Otherwise it keeps the set of possible
states of each job, and every observation narrows the set. An observation that fits no possible
state is a failure of the target.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from upsim_contracts.suite.generate_table import Action, Generation

YES, NO = frozenset({True}), frozenset({False})


@dataclass(slots=True)
class ModelJob:
    """The known facts about one job.

    - `possible`: the status words that the job may show
    - `refunded`: whether its price may have been refunded
    - `alive_at`: the last time when it was known to be in progress
    - `seen`: the last response to a poll since the clock advanced
    - `final`: the response with its end
    - `wants_post`: whether the submit named a receiver
    - `posts`: the ends that the receiver may be notified of
    """

    id: str
    owner: str
    price: Decimal
    possible: frozenset[str]
    made_at: datetime
    alive_at: datetime
    wants_post: bool = False
    refunded: frozenset[bool] = NO
    seen: bytes | None = None
    final: bytes | None = None
    posts: set[str] = field(default_factory=set)


class AccountModel:
    """All jobs and accounts of one run. `exact` means that only commands advance the clock."""

    def __init__(self, table: Generation, now: datetime, *, exact: bool) -> None:
        """Start without jobs and accounts."""
        self._table = table
        self._exact = exact
        self.jobs: dict[str, ModelJob] = {}
        self.funds: dict[str, Decimal] = {}
        self.now = now
        self._failed = table.ended("failed")
        by_command = {action.to for action in table.actions.values() if action.to} - self._failed
        self._never = by_command | (self._failed if exact else set())

    # -- what happens

    def opens(self, owner: str, balance: Decimal) -> None:
        """Set an account's balance; all earlier jobs count as settled."""
        moved = sum((self._moved(job) for job in self._of(owner)), Decimal(0))
        self.funds[owner] = balance - moved

    def accepts(self, job: str, owner: str, price: Decimal, *, wants_post: bool) -> ModelJob:
        """Add a new job; its id must be new."""
        assert job not in self.jobs, f"the id {job} was given twice"
        first = frozenset({self._table.unfinished[0]})
        made = ModelJob(job, owner, price, first, self.now, self.now, wants_post=wants_post)
        self.jobs[job] = made
        if not self._exact:
            self._drift(made)
        return made

    def time_passes(self, now: datetime, *, idle: bool = False) -> None:
        """Note that the clock advanced; `idle` means that no job is in progress any more."""
        self.now = now
        for job in self.jobs.values():
            self._drift(job)
            if idle:
                self._narrow(job, job.possible - set(self._table.unfinished))

    def fails(self, job: ModelJob) -> None:
        """Note that an operator made a job fail."""
        self._becomes(job, self._failed)

    def observe(self, job: ModelJob, word: object, content: bytes | None = None) -> None:
        """Check a status that a job shows, and the whole response of a poll.

        Raises AssertionError.
        """
        if not self._exact:
            self._drift(job)
        assert word in job.possible, f"{job.id} shows {word!r}, possible is {sorted(job.possible)}"
        self._narrow(job, frozenset({str(word)}))
        if content is None:
            return
        if word not in self._table.unfinished:
            assert job.final in (None, content), f"{job.id} has ended and answers otherwise"
            job.final = content
        elif self._exact:
            job.alive_at = self.now
            assert job.seen in (None, content), f"{job.id} answers otherwise though no time passed"
            job.seen = content

    def acts(self, job: ModelJob, action: Action, *, done: bool) -> None:
        """Check whether an action on a job was right to succeed or fail. Raises AssertionError."""
        if not self._exact:
            self._drift(job)
        fitting = job.possible & set(action.from_)
        left = fitting if done else job.possible - fitting
        how = "done" if done else "refused"
        assert left, f"{action.name} of {job.id} was {how}, it is {sorted(job.possible)}"
        self._narrow(job, left)
        if done and action.to is not None:
            self._becomes(job, frozenset({action.to}))

    # -- what follows

    def balances(self, owner: str) -> set[Decimal]:
        """Return the possible balances of an account: several if refunds are not certain."""
        found = {self.funds[owner]}
        for job in self._of(owner):
            moves = {job.price * back - job.price for back in job.refunded}
            found = {amount + move for amount in found for move in moves}
        return found

    def listed(self, owner: str) -> set[str]:
        """Return the jobs that a job list of the account must contain."""
        return {job.id for job in self._of(owner) if not self.is_gone(job)}

    def has_output(self, job: ModelJob) -> bool:
        """Return whether the job's link must lead to a file.

        The link must work if the job completed and its retention time is not over.
        """
        fresh = (self.now - job.alive_at).total_seconds() < self._table.keeps
        return fresh and job.possible <= self._table.ended("completed")

    def is_gone(self, job: ModelJob) -> bool:
        """Return whether the job was deleted by a request."""
        named = {action.to for action in self._table.actions.values() if action.to}
        return job.possible <= named - self._failed

    def _of(self, owner: str) -> Iterable[ModelJob]:
        return [job for job in self.jobs.values() if job.owner == owner]

    def _moved(self, job: ModelJob) -> Decimal:
        (back,) = job.refunded
        return job.price * back - job.price

    def _drift(self, job: ModelJob) -> None:
        """Allow every status that may follow without a request, because the clock has advanced."""
        if job.final is None:
            after = (self._table.reachable(word, never=self._never) for word in job.possible)
            job.seen = None
            self._narrow(job, self._in_time(job, frozenset().union(*after)))

    def _in_time(self, job: ModelJob, words: frozenset[str]) -> frozenset[str]:
        """Return the words that the documented times allow; all words if a time is not known."""
        least, most = self._table.time
        unfinished = set(self._table.unfinished)
        age = (self.now - job.made_at).total_seconds()
        if not self._exact or words & self._failed:
            return words
        if age < least and job.possible <= unfinished:
            return words & unfinished
        if most is not None and age >= most:
            return words - unfinished
        return words

    def _becomes(self, job: ModelJob, words: frozenset[str]) -> None:
        job.seen = job.final = None
        self._narrow(job, words)

    def _narrow(self, job: ModelJob, words: frozenset[str]) -> None:
        assert words, f"{job.id} was {sorted(job.possible)}, and nothing is possible any more"
        job.possible = words
        job.posts |= words - set(self._table.unfinished)
        certain = self._exact and len(words) == 1
        if words <= self._failed:
            job.refunded = YES if self._exact else YES | NO
        elif certain and words <= self._table.ended("completed"):
            job.refunded = NO
        elif words & self._failed:
            job.refunded |= YES
