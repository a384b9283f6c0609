"""The report card of a sandbox: client mistakes.

It is computed on request from the counters of `client_activity`, the jobs and the webhook
log. Findings about jobs that are no longer counted are kept. Jumps of an `auto` clock do
not count as pauses of the client. On such a clock, a client that does not wait looks the
same as a test that omits the waiting, so these findings are listed only on request.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from upsim.core.instants import SECOND, Instant
from upsim.core.jobs import Job
from upsim.core.polling_advice import PollingAdvice
from upsim.core.states import TERMINAL, JobState
from upsim.core.webhooks import GOOD, Delivery
from upsim.engine.client_activity import (
    MAX_FINDINGS,
    ClientActivity,
    Counters,
    IgnoredRetryAfter,
    JobActivity,
    Tallies,
)
from upsim.engine.rule_versions import RuleVersions
from upsim.engine.timeline import Timeline

Severity = Literal["error", "warning"]
TURN = 100
"""Number of jobs that are checked between two pauses."""
HASTY = 2
"""Minimum number of hasty polls of one job for a finding."""
LATE = 3
"""So often an ended job may be asked after again, to make sure."""
BADLY_SIGNED = ("bad_signature", "stale_signature")
INBOX = re.compile(r"/__sim/sandboxes/[^/?]+/inbox/")
SEVERITIES: Mapping[str, Severity] = {
    "polled_too_often": "warning",
    "polled_after_the_end": "warning",
    "retry_after_ignored": "error",
    "submitted_twice": "error",
    "failure_never_read": "error",
    "output_never_fetched": "warning",
    "signature_unchecked": "error",
}
"""The findings that there are, and how bad each is."""
ADVICE: Mapping[str, str] = {
    "polled_too_often": "Wait {advised} s or more between two polls of a job.",
    "polled_after_the_end": "Stop polling once an answer says that the job has ended.",
    "retry_after_ignored": "After an answer with Retry-After wait that long before the next try.",
    "submitted_twice": "Never send a paid request again before you know that it was not accepted:"
    " look for the job first.",
    "failure_never_read": "Poll each job until it has ended, or answer its webhook with 2xx, and"
    " show your user that it failed.",
    "output_never_fetched": "Download each finished file before its link expires: it is paid for.",
    "signature_unchecked": "Verify the signature and the age of a webhook before you believe it,"
    " and answer 401 to one that does not hold.",
}
ON_AUTO = (
    "pauses on an auto clock: it passes time by itself, so that a test may leave the waiting out"
)
NO_SIGNATURE = "signatures: no webhook was badly signed on purpose and delivered to a receiver"
INBOXES = "signatures at the built-in inbox, which takes everything"


class ClientFinding(msgspec.Struct, frozen=True):
    """One mistake of a client; `numbers` are the figures about it."""

    name: str
    provider: str
    job: str | None
    exchanges: tuple[int, ...]
    numbers: Mapping[str, int | str]
    on_auto: bool = False

    @property
    def severity(self) -> Severity:
        """`error` if the mistake costs money or hides a problem, else `warning`."""
        return SEVERITIES[self.name]

    @property
    def advice(self) -> str:
        """The advice against this mistake."""
        return ADVICE[self.name].format_map(self.numbers)


class Sums(msgspec.Struct):
    """Sums over the clients of one provider."""

    jobs: int = 0
    polls: int = 0
    hasty: int = 0
    late: int = 0
    shortest: Instant | None = None

    def add(self, tally: JobActivity) -> None:
        """Add the counters of one job."""
        self.jobs += 1
        if not tally.polls:
            return
        self.polls += tally.polls
        self.hasty += tally.hasty + tally.hasty_on_auto
        self.late += tally.polls_after
        if tally.shortest is not None and (self.shortest is None or tally.shortest < self.shortest):
            self.shortest = tally.shortest

    def copy(self) -> Sums:
        """Return an independent copy."""
        return Sums(self.jobs, self.polls, self.hasty, self.late, self.shortest)


KeptFinding = ClientFinding | tuple[str, JobActivity]
"""A finding about a removed job, or the counters of a job that show a mistake."""


class ReportState(msgspec.Struct, array_like=True):
    """The data of a report card besides the jobs and the webhooks: plain data."""

    counters: Counters
    kept: list[KeptFinding]
    sums: dict[str, Sums]
    inbox: bool
    signed: bool


class Card(msgspec.Struct, frozen=True):
    """A report card at one time."""

    findings: Sequence[ClientFinding]
    sums: Mapping[str, Sums]
    advised: Mapping[str, PollingAdvice | None]
    not_judged: tuple[str, ...]


class ReportCardBuilder(msgspec.Struct):
    """Builds the report card of one sandbox, with the findings about removed jobs."""

    timeline: Timeline
    rules: RuleVersions
    activity: ClientActivity
    _kept: deque[KeptFinding] = msgspec.field(default_factory=lambda: deque(maxlen=MAX_FINDINGS))
    _sums: dict[str, Sums] = msgspec.field(default_factory=dict)
    _inbox: bool = False
    _signed: bool = False

    def __post_init__(self) -> None:
        """Subscribe to the counters of jobs that are removed."""
        self.activity.subscribe(self)

    def draw(
        self, *, all_pauses: bool = False, provider: str | None = None
    ) -> Generator[None, None, Card]:
        """Return the findings so far, oldest jobs first.

        Checking a hundred thousand jobs takes seconds, so this generator pauses for other
        requests. If a job is forgotten during a pause, only its requests are checked.
        """
        now = self.timeline.run_due()
        self.activity.catch_up()
        findings: list[ClientFinding] = []
        hidden = False
        sums = {name: found.copy() for name, found in self._sums.items()}
        for number, each in enumerate(self._judgements(now, sums)):
            if number % TURN == TURN - 1:
                yield
            for found in each:
                hidden = hidden or (found.on_auto and not all_pauses)
                if (all_pauses or not found.on_auto) and provider in (None, found.provider):
                    findings.append(found)
        return Card(
            findings=findings,
            sums={name: sums[name] for name in sorted(sums) if provider in (None, name)},
            advised={name: self._advised(name) for name in sums},
            not_judged=tuple(self._not_judged(hidden=hidden)),
        )

    def clear(self) -> None:
        """Remove all findings and counters."""
        self.activity.clear()
        self._kept.clear()
        self._sums.clear()
        self._inbox = self._signed = False

    # -- continuing

    def encoded(self) -> bytes:
        """Return the counters and findings so far, with which another sandbox can continue."""
        counters = self.activity.counters
        state = ReportState(counters, list(self._kept), self._sums, self._inbox, self._signed)
        return msgspec.msgpack.encode(state)

    def continue_with(self, encoded: bytes) -> None:
        """Start with the counters and findings of another sandbox."""
        state = msgspec.msgpack.decode(encoded, type=ReportState)
        self.activity.continue_with(state.counters)
        self._kept.extend(state.kept)
        self._sums = state.sums
        self._inbox, self._signed = state.inbox, state.signed

    # -- what the activity passes

    def on_dropped(self, tallies: Tallies) -> None:
        """Keep the counters that show a mistake, until a report card is drawn."""
        self._kept.extend((job, tally) for job, tally in tallies.items() if _ill_mannered(tally))
        self._add(tallies)

    def on_forgotten(self, tallies: Tallies) -> None:
        """Keep the findings about jobs before the sandbox forgets these jobs."""
        for job, tally in tallies.items():
            self._kept.extend(self._judged(job, tally, self.timeline.now))
        self._add(tallies)

    # -- inside

    def _add(self, tallies: Tallies) -> None:
        sums = self._sums
        for tally in tallies.values():
            provider = tally.provider
            if provider not in sums:
                sums[provider] = Sums()
            sums[provider].add(tally)

    def _advised(self, provider: str) -> PollingAdvice | None:
        return self.rules.scenario(provider).baseline.polling

    def _judgements(self, now: Instant, sums: dict[str, Sums]) -> Iterator[Iterable[ClientFinding]]:
        """Yield the findings of each job, present or kept; add present jobs to `sums`."""
        for kept in [*self._kept]:
            yield [kept] if isinstance(kept, ClientFinding) else self._manners(*kept)
        for job, tally in [*self.activity.tallies.items()]:
            sums.setdefault(tally.provider, Sums()).add(tally)
            yield self._judged(job, tally, now)
        for ignored in [*self.activity.ignored]:
            yield [_impatient(ignored)]

    def _judged(self, job: str, tally: JobActivity, now: Instant) -> Iterator[ClientFinding]:
        yield from self._manners(job, tally)
        living = self.timeline.state.jobs.get(job)
        if living is not None:
            deliveries = self._deliveries(job)
            yield from self._unread(living, tally, deliveries, now)
            yield from self._unchecked(living, deliveries)

    def _manners(self, job: str, tally: JobActivity) -> Iterator[ClientFinding]:
        """Yield the mistakes in a client's own requests for a job."""
        provider = tally.provider
        if tally.hasty + tally.hasty_on_auto >= HASTY:
            yield self._hasty(job, tally)
        if tally.polls_after > LATE:
            numbers: dict[str, int | str] = {"polls": tally.polls, "after": tally.polls_after}
            shown = tally.shown("polled_after_the_end")
            yield ClientFinding("polled_after_the_end", provider, job, shown, numbers)
        if tally.repeats is not None:
            first, number = tally.repeats
            shown = (number, tally.submit)
            yield ClientFinding("submitted_twice", provider, job, shown, {"first": first})

    def _hasty(self, job: str, tally: JobActivity) -> ClientFinding:
        advised = self._advised(tally.provider)
        numbers: dict[str, int | str] = {
            "polls": tally.polls,
            "hasty": tally.hasty + tally.hasty_on_auto,
            "shortest": seconds(tally.shortest or 0),
            "advised": seconds(advised.every) if advised else "0",
        }
        shown = tally.shown("polled_too_often")
        return ClientFinding(
            "polled_too_often",
            tally.provider,
            job,
            shown,
            numbers,
            on_auto=tally.hasty < HASTY,
        )

    def _deliveries(self, job: str) -> list[Delivery]:
        state = self.timeline.state
        return [state.deliveries[name] for name in state.deliveries_of.get(job, ())]

    def _unread(
        self, job: Job, tally: JobActivity, deliveries: list[Delivery], now: Instant
    ) -> Iterator[ClientFinding]:
        """Yield findings on ended jobs that the client did not notice in time."""
        end = next((move for move in job.moves if move.state in TERMINAL), None)
        if end is None or end.at + self._grace(job) > now:
            return
        by_caller = end.state is JobState.CANCELLED and not end.planned
        shown = tuple(number for number in (tally.submit, tally.seen) if number)
        numbers: dict[str, int | str] = {"polls": tally.polls, "state": end.state.value}
        provider = job.accepted.provider
        if end.state is JobState.COMPLETED:
            if not tally.fetched and job.accepted.output is not None:
                yield ClientFinding("output_never_fetched", provider, job.id, shown, numbers)
        elif tally.seen is None and not by_caller and end.state is not JobState.DELETED:
            if any(d.created.state in TERMINAL and d.arrived for d in deliveries):
                return
            yield ClientFinding("failure_never_read", provider, job.id, shown, numbers)

    def _grace(self, job: Job) -> Instant:
        """Return the time within which a client should poll again; for a clock moved by hand, 0."""
        advised = self._advised(job.accepted.provider)
        if advised is None or self.timeline.clock.moves_by_hand:
            return 0
        return advised.most or advised.every

    def _unchecked(self, job: Job, deliveries: list[Delivery]) -> Iterator[ClientFinding]:
        for delivery in deliveries:
            taken = [a for a in delivery.attempts if a.fault in BADLY_SIGNED and not a.unsent]
            if not taken:
                continue
            if INBOX.search(delivery.created.url):
                self._inbox = True
                continue
            self._signed = True
            for attempt in taken:
                if attempt.status in GOOD:
                    numbers: dict[str, int | str] = {
                        "delivery": delivery.id,
                        "fault": attempt.fault,
                        "answered": attempt.status or 0,
                    }
                    provider = job.accepted.provider
                    yield ClientFinding("signature_unchecked", provider, job.id, (), numbers)
                    break

    def _not_judged(self, *, hidden: bool) -> Iterator[str]:
        if hidden:
            yield ON_AUTO
        if self._inbox:
            yield INBOXES
        elif not self._signed:
            yield NO_SIGNATURE


def _ill_mannered(tally: JobActivity) -> bool:
    """Return whether a client's own requests for a job show a mistake."""
    hasty = tally.hasty + tally.hasty_on_auto >= HASTY
    return hasty or tally.polls_after > LATE or tally.repeats is not None


def seconds(micros: Instant) -> str:
    """Return an exact duration in seconds."""
    return f"{(Decimal(micros) / SECOND).normalize():f}"


def _impatient(ignored: IgnoredRetryAfter) -> ClientFinding:
    return ClientFinding(
        "retry_after_ignored",
        ignored.provider,
        None,
        (ignored.told, ignored.came),
        {"asked": str(ignored.asked), "waited": seconds(max(0, ignored.waited))},
        on_auto=ignored.on_auto,
    )
