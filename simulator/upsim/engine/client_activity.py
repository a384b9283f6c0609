"""Counters of client behaviour in a sandbox, for each job, read from the records of requests.

Requests are counted in batches, off the hot path; `report_card` draws the conclusions. The number
of jobs is limited. Findings about dropped or forgotten jobs are kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple, Protocol

import msgspec

from upsim.core.bounded_cache import BoundedCache
from upsim.core.events import JobAccepted
from upsim.core.faults import Corrupt, FaultRule, Headers, Respond, Truncate, Word
from upsim.core.instants import SECOND, Instant
from upsim.core.numbers import plain_count
from upsim.core.states import TERMINAL
from upsim.engine.request_records import NOTE, Record
from upsim.engine.rule_versions import RuleVersions
from upsim.engine.timeline import Timeline

MAX_JOBS = 4_096
"""Maximum jobs that are counted at once; of older jobs only the findings are kept."""
AT_ONCE = 512
"""Number of oldest jobs dropped together when the limit is reached."""
BATCH = 512
"""Number of requests that are counted together."""
DIGEST_BYTES = 16
MAX_FINDINGS = 1_000
MAX_WAITS = 1_000
NUMBERS = 5
"""Maximum requests that a finding refers to."""
WINDOW = 600 * SECOND
"""The same submit within this time is taken for a repetition, while the first job lives."""
PATIENCE = 3, 4
"""Pauses a quarter shorter than advised are those of a client that spreads its polls."""
SPOILING = (Word, Respond, Truncate, Corrupt)
"""Faults after which a caller cannot have read what was answered."""
RETRY_AFTER = b"retry-after"


class IgnoredRetryAfter(NamedTuple):
    """A client that did not wait for `Retry-After`: both exchanges, and both waits.

    The waits are the requested seconds and the real wait.
    """

    provider: str
    told: int
    came: int
    asked: int
    waited: Instant
    on_auto: bool


class RequestedWait(NamedTuple):
    """The wait that a response asked for, before the same operation is repeated."""

    number: int
    at: Instant
    jumped: Instant
    seconds: int


class JobActivity(msgspec.Struct, gc=False, array_like=True):
    """Client activity for one job. `at`, `jumped` and `good` describe the last poll.

    `is_open` says that the job is known and has not ended, so that its submit must not be repeated.
    Pauses shorter than `every` are hasty; `every` is set at the first poll. `seen` is the response
    that reported the job's end; `unsure` means that a fault may have hidden it from the client.
    `repeats` is the job whose submit was repeated, and the request of that submit.
    """

    provider: str
    accepted_at: Instant
    is_open: bool
    submit: int = 0
    every: Instant | None = None
    at: Instant = 0
    jumped: Instant = 0
    good: bool = False
    polls: int = 0
    hasty: int = 0
    hasty_on_auto: int = 0
    shortest: Instant | None = None
    polls_after: int = 0
    seen: int | None = None
    unsure: bool = False
    fetched: bool = False
    repeats: tuple[str, int] | None = None
    named: dict[str, list[int]] | None = None

    def name(self, what: str, number: int) -> None:
        """Keep the first exchanges that show a finding."""
        if self.named is None:
            self.named = {}
        numbers = self.named.setdefault(what, [])
        if len(numbers) < NUMBERS:
            numbers.append(number)

    def shown(self, what: str) -> tuple[int, ...]:
        """Return the exchanges that show a finding."""
        return tuple((self.named or {}).get(what, ()))


Tallies = dict[str, JobActivity]
"""By the names of jobs, in the order in which they were first heard of."""


class Counters(msgspec.Struct, array_like=True):
    """All counters of a sandbox, and the waits that responses asked for: plain data."""

    tallies: Tallies
    ignored: list[IgnoredRetryAfter]
    submits: dict[bytes, str]
    waits: dict[tuple[int, str], RequestedWait]


class ActivityReader(Protocol):
    """Draws conclusions from the counters of jobs before they are removed."""

    def on_dropped(self, tallies: Tallies) -> None:
        """Process the counters of the oldest jobs before they are dropped for newer jobs."""

    def on_forgotten(self, tallies: Tallies) -> None:
        """Process the counters of jobs that the sandbox is about to forget."""


class ClientActivity:
    """The counters of the jobs of one sandbox.

    Records wait until there are `batch` of them, or until somebody reads the counters. The ends of
    jobs wait among them, because the state of a job at the time of a request decides.
    """

    def __init__(self, timeline: Timeline, rules: RuleVersions, batch: int = BATCH) -> None:
        """Start without requests."""
        self._readers: tuple[ActivityReader, ...] = ()
        self._timeline = timeline
        self._rules = rules
        self._batch = batch
        self._waiting: list[Record | str] = []
        self._waiting_ends: set[str] = set()
        self._tallies: Tallies = {}
        self._ignored: deque[IgnoredRetryAfter] = deque(maxlen=MAX_FINDINGS)
        self._submits: dict[bytes, str] = {}
        self._waits: BoundedCache[tuple[int, str], RequestedWait] = BoundedCache(MAX_WAITS)

    def subscribe(self, reader: ActivityReader) -> None:
        """Pass `reader` the counters of jobs before they are removed."""
        self._readers = (*self._readers, reader)

    # -- the hot path

    def record(self, record: Record) -> None:
        """Add a request that will be counted."""
        waiting = self._waiting
        waiting.append(record)
        if len(waiting) >= self._batch:
            self.catch_up()

    def record_end(self, job: str) -> None:
        """Record that a job has ended."""
        self._waiting_ends.add(job)
        self._waiting.append(job)
        if len(self._waiting) >= self._batch:
            self.catch_up()

    # -- readers

    @property
    def tallies(self) -> Tallies:
        """The counters of the jobs, with all requests so far."""
        self.catch_up()
        return self._tallies

    @property
    def ignored(self) -> Sequence[IgnoredRetryAfter]:
        """The latest requests that came before the time that a `Retry-After` named."""
        self.catch_up()
        return self._ignored

    def catch_up(self) -> None:
        """Count the waiting requests, in order."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if isinstance(one, Record):
                self._count(one)
            else:
                self._waiting_ends.discard(one)
                if one in self._tallies:
                    self._tallies[one].is_open = False

    @property
    def counters(self) -> Counters:
        """All counters, with all requests so far. They change with later requests."""
        self.catch_up()
        return Counters(self._tallies, list(self._ignored), self._submits, dict(self._waits))

    def continue_with(self, counters: Counters) -> None:
        """Start with the counters of another sandbox, which are used up by this."""
        self._tallies, self._submits = counters.tallies, counters.submits
        self._ignored.extend(counters.ignored)
        for key, wait in counters.waits.items():
            self._waits[key] = wait

    # -- notifications

    def record_download(self, job: str) -> None:
        """Record that a client is downloading the finished file of a job."""
        tally = self.tallies.get(job)
        if tally is not None:
            tally.fetched = True

    def forget_jobs(self, jobs: Sequence[str]) -> None:
        """Remove the counters of jobs that the sandbox is about to forget."""
        counted = self.tallies
        tallies = {job: counted.pop(job) for job in jobs if job in counted}
        for reader in self._readers:
            reader.on_forgotten(tallies)
        self._forget_submits()

    def clear(self) -> None:
        """Start again with empty counters, also for existing jobs."""
        self._waiting.clear()
        self._waiting_ends.clear()
        self._tallies.clear()
        self._ignored.clear()
        self._submits.clear()
        self._waits.clear()

    # -- inside

    def _count(self, record: Record) -> None:
        """Count one request."""
        if self._waits or record.retry_after is not None:
            self._look_at_the_clock(record)
        job = record.read_job
        if job is None or record.kind == NOTE:
            return
        tally = self._tallies.get(job.accepted.job) or self._new_tally(job.accepted)
        if record.kind == "poll":
            self._polled(tally, record, job.accepted)
        elif record.kind == "submit":
            tally.submit = record.number
            digest = _submit_digest(record)
            earlier = self._submits.get(digest)
            self._submits[digest] = job.accepted.job
            if earlier is not None:
                self._look_for_repetition(tally, record, earlier)
        altered = bool(record.faults) and _altered(record.faults)
        tally.good = record.rule is None and not altered
        if (
            job.moves
            and record.rule is None
            and (tally.seen is None or tally.unsure)
            and job.moves[-1].state in TERMINAL
            and not (altered and _spoiled(record.faults))
        ):
            tally.seen = record.number
            tally.unsure = altered

    def _new_tally(self, accepted: JobAccepted) -> JobActivity:
        tallies, name = self._tallies, accepted.job
        if len(tallies) >= MAX_JOBS + AT_ONCE:
            self._make_room()
        present = self._timeline.state.jobs.get(name)  # jobs are forgotten after `catch_up`
        has_ended = present is None or (present.ended and name not in self._waiting_ends)
        tally = tallies[name] = JobActivity(accepted.provider, accepted.at, not has_ended)
        return tally

    def _make_room(self) -> None:
        counted = self._tallies
        tallies = {job: counted.pop(job) for job in list(islice(counted, AT_ONCE))}
        for reader in self._readers:
            reader.on_dropped(tallies)
        self._forget_submits()

    def _forget_submits(self) -> None:
        """Drop the submits of jobs that are no longer counted, if there are many."""
        known = self._tallies
        if len(self._submits) > len(known) + AT_ONCE:
            self._submits = {key: job for key, job in self._submits.items() if job in known}

    def _polled(self, tally: JobActivity, record: Record, accepted: JobAccepted) -> None:
        at, jumped = record.at, record.jumped
        if tally.every is None:
            tally.every = self._least_pause(accepted)
        tally.polls += 1
        if tally.seen is not None and not tally.unsure:
            tally.polls_after += 1
            if tally.polls_after <= NUMBERS:
                tally.name("polled_after_the_end", record.number)
        elif tally.good:
            pause = at - tally.at - jumped + tally.jumped
            if tally.shortest is None or pause < tally.shortest:
                tally.shortest = pause
            if pause < tally.every:
                _hurried(tally, record)
        tally.at, tally.jumped = at, jumped

    def _least_pause(self, accepted: JobAccepted) -> Instant:
        """Return the minimum pause between polls, by the rules of the accepted job."""
        advised = self._rules.bound_of(accepted).scenario.baseline.polling
        return 0 if advised is None else advised.every * PATIENCE[0] // PATIENCE[1]

    def _look_for_repetition(self, tally: JobActivity, record: Record, earlier: str) -> None:
        """Record a repeated submit if the earlier job is recent and has not ended."""
        first = self._tallies.get(earlier)
        if first is None or first is tally or not first.is_open:
            return
        if record.at - first.accepted_at <= WINDOW:
            tally.repeats = (earlier, first.submit)

    def _look_at_the_clock(self, record: Record) -> None:
        if record.account is None:
            return
        key = record.account, record.operation
        wait = self._waits.pop(key, None)
        if record.retry_after is not None:
            self._waits[key] = RequestedWait(
                record.number, record.at, record.jumped, record.retry_after
            )
        if wait is None:
            return
        waited = record.at - wait.at - (record.jumped - wait.jumped)
        if waited < wait.seconds * SECOND:
            on_auto = record.clock == "auto"
            self._ignored.append(
                IgnoredRetryAfter(
                    record.provider,
                    wait.number,
                    record.number,
                    wait.seconds,
                    waited,
                    on_auto,
                )
            )


def _hurried(tally: JobActivity, record: Record) -> None:
    if record.clock == "auto":
        tally.hasty_on_auto += 1
    else:
        tally.hasty += 1
    if tally.hasty + tally.hasty_on_auto <= NUMBERS:
        tally.name("polled_too_often", record.number)


def _submit_digest(record: Record) -> bytes:
    """Return a digest of what a repeated submit repeats: account, operation, target and body."""
    content = blake2b(record.body, digest_size=DIGEST_BYTES)
    where = f" {record.account} {record.operation} {record.target} {record.body_size}"
    content.update(where.encode("utf-8", "surrogatepass"))
    return content.digest()


def requested_wait(
    headers: Iterable[tuple[bytes, bytes]], faults: Sequence[FaultRule]
) -> int | None:
    """Return the seconds in the `Retry-After` of a response that faults may have changed."""
    said = [value for name, value in headers if name.lower() == RETRY_AFTER]
    for rule in faults:
        if isinstance(rule.do, Headers):
            found = [v for name, v in rule.do.headers if name.lower() == "retry-after"]
            said += [value.encode("latin-1") for value in found]
    return plain_count(said[-1].decode("latin-1")) if said else None


def _spoiled(faults: Sequence[FaultRule]) -> bool:
    """Return whether a fault made the response unreadable for the client."""
    return any(isinstance(rule.do, SPOILING) for rule in faults)


def _altered(faults: Sequence[FaultRule]) -> bool:
    """Return whether a fault delayed or changed a response, other than its `Retry-After`."""
    return any(not _only_retry_after(rule) for rule in faults)


def _only_retry_after(rule: FaultRule) -> bool:
    return isinstance(rule.do, Headers) and all(
        name.lower() == "retry-after" for name, _ in rule.do.headers
    )
