"""What the callers of a sandbox do: counters for each job, kept while requests are answered.

`take` is on the hot path and only counts; `report_card` draws the conclusions. Jobs are kept up to
a number; of those that go, and of those that the sandbox forgets, the findings stay.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from upsim.core.call import Call
from upsim.core.events import JobAccepted
from upsim.core.faults import Corrupt, FaultRule, Headers, Respond, Truncate, Word
from upsim.core.instants import SECOND, Instant
from upsim.core.states import TERMINAL
from upsim.engine.journal import KEPT_BODY, Exchange

if TYPE_CHECKING:
    from upsim.engine.sandbox import Sandbox

MOST_JOBS = 4_096
"""So many jobs are counted at once; of older ones only what was found of their calls is kept."""
AT_ONCE = 512
"""So many of the oldest go at once."""
MOST_FINDINGS = 1_000
MOST_WAITS = 1_000
NUMBERS = 5
"""So many exchanges are named in a finding."""
WINDOW = 600 * SECOND
"""The same submit within this time is taken for a repetition, while the first job lives."""
PATIENCE = 3, 4
"""Pauses a quarter shorter than advised are those of a client that spreads its polls."""
SPOILING = (Word, Respond, Truncate, Corrupt)
"""Faults after which a caller cannot have read what was answered."""
RETRY_AFTER = b"retry-after"


class Repeated(NamedTuple):
    """The job whose submit was repeated, and the number of that submit."""

    job: str
    exchange: int


class Ignored(NamedTuple):
    """A `Retry-After` that was not waited for: both exchanges, the seconds asked and waited."""

    provider: str
    told: int
    came: int
    asked: int
    waited: Instant
    on_auto: bool


class Wait(NamedTuple):
    """What a caller was told to wait before the same operation."""

    number: int
    at: Instant
    jumped: Instant
    seconds: int


class Tally:
    """What a caller did about one job. `at`, `jumped` and `good` are of its last poll."""

    __slots__ = (
        "accepted",
        "at",
        "every",
        "fetched",
        "good",
        "hasty",
        "hasty_on_auto",
        "jumped",
        "key",
        "named",
        "polls",
        "polls_after",
        "repeats",
        "seen",
        "shortest",
        "submit",
    )

    def __init__(self, accepted: JobAccepted, every: Instant) -> None:
        """Nothing was done yet; pauses shorter than `every` are hasty."""
        self.accepted = accepted
        self.every = every
        self.submit = 0
        self.key = 0
        self.at = 0
        self.jumped = 0
        self.good = False
        self.polls = 0
        self.hasty = 0
        self.hasty_on_auto = 0
        self.shortest: Instant | None = None
        self.polls_after = 0
        self.seen: int | None = None
        self.fetched = False
        self.repeats: Repeated | None = None
        self.named: dict[str, list[int]] | None = None

    def name(self, what: str, number: int) -> None:
        """Keep the first exchanges that show a thing."""
        if self.named is None:
            self.named = {}
        numbers = self.named.setdefault(what, [])
        if len(numbers) < NUMBERS:
            numbers.append(number)

    def shown(self, what: str) -> tuple[int, ...]:
        """The exchanges that show a thing."""
        return tuple((self.named or {}).get(what, ()))


class Conduct:
    """The tallies of one sandbox.

    `parted` is called with each job that is counted no more, and whether the job itself ends here.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        """Nobody called yet."""
        self.tallies: dict[str, Tally] = {}
        self.ignored: deque[Ignored] = deque(maxlen=MOST_FINDINGS)
        self.parted: Callable[[str, Tally, bool], None] = lambda _job, _tally, _ended: None
        self._sandbox = sandbox
        self._submits: dict[int, str] = {}
        self._waits: dict[tuple[int, str], Wait] = {}

    # -- the hot path

    def take(self, call: Call, exchange: Exchange) -> None:  # noqa: C901 - in one piece it is fast
        """Count one exchange."""
        if self._waits:
            self._look_at_the_clock(call, exchange)
        job = call.job
        if job is None:
            return
        tally = self.tallies.get(job.accepted.job) or self._begin(job.accepted)
        if call.kind == "poll":
            sandbox, at = self._sandbox, exchange.at
            tally.polls += 1
            if tally.seen is not None:
                tally.polls_after += 1
                if tally.polls_after <= NUMBERS:
                    tally.name("polled_after_the_end", exchange.number)
            elif tally.good:
                pause = at - tally.at - sandbox.jumped + tally.jumped
                if tally.shortest is None or pause < tally.shortest:
                    tally.shortest = pause
                if pause < tally.every:
                    self._hurried(tally, exchange)
            tally.at, tally.jumped = at, sandbox.jumped
        elif call.kind == "submit":
            self._submitted(call, exchange, tally)
        tally.good = exchange.rule is None
        if call.faults and _spoiled(call.faults):
            tally.good = False
        elif tally.good and tally.seen is None and job.moves and job.moves[-1].state in TERMINAL:
            tally.seen = exchange.number

    def told_to_wait(
        self, call: Call, exchange: Exchange, headers: Iterable[tuple[bytes, bytes]]
    ) -> None:
        """An answer that asks for patience: its `Retry-After`, if it has one, is remembered."""
        said = [value for name, value in headers if name.lower() == RETRY_AFTER]
        for rule in call.faults:
            if isinstance(rule.do, Headers):
                found = [v for name, v in rule.do.headers if name.lower() == "retry-after"]
                said += [value.encode("latin-1") for value in found]
        if not said or not said[-1].isdigit() or call.account is None:
            return
        if len(self._waits) >= MOST_WAITS:
            del self._waits[next(iter(self._waits))]
        self._waits[call.account.number, call.operation] = Wait(
            exchange.number, exchange.at, self._sandbox.jumped, int(said[-1])
        )

    # -- what others tell

    def fetched(self, job: str) -> None:
        """The finished file of a job was asked for and is on its way."""
        tally = self.tallies.get(job)
        if tally is not None:
            tally.fetched = True

    def part(self, jobs: Sequence[str]) -> None:
        """The sandbox is about to forget these jobs."""
        for job in jobs:
            tally = self.tallies.pop(job, None)
            if tally is not None:
                self._part(job, tally, ends=True)

    def clear(self) -> None:
        """Begin anew; what was done about the jobs that there are is forgotten."""
        self.tallies.clear()
        self.ignored.clear()
        self._submits.clear()
        self._waits.clear()

    # -- inside

    def _begin(self, accepted: JobAccepted) -> Tally:
        if len(self.tallies) >= MOST_JOBS + AT_ONCE:
            for oldest in list(islice(self.tallies, AT_ONCE)):
                self._part(oldest, self.tallies.pop(oldest), ends=False)
        advised = self._sandbox.scenario_for(accepted.provider).baseline.polling
        least = 0 if advised is None else advised.every * PATIENCE[0] // PATIENCE[1]
        tally = self.tallies[accepted.job] = Tally(accepted, least)
        return tally

    def _part(self, job: str, tally: Tally, *, ends: bool) -> None:
        if self._submits.get(tally.key) == job:
            del self._submits[tally.key]
        self.parted(job, tally, ends)

    def _hurried(self, tally: Tally, exchange: Exchange) -> None:
        if self._sandbox.clock.mode == "auto":
            tally.hasty_on_auto += 1
        else:
            tally.hasty += 1
        if tally.hasty + tally.hasty_on_auto <= NUMBERS:
            tally.name("polled_too_often", exchange.number)

    def _submitted(self, call: Call, exchange: Exchange, tally: Tally) -> None:
        tally.submit = exchange.number
        body = call.body[:KEPT_BODY], len(call.body)
        tally.key = key = hash((exchange.account, call.operation, exchange.target, body))
        earlier = self._submits.get(key)
        self._submits[key] = tally.accepted.job
        first = None if earlier is None else self.tallies.get(earlier)
        if earlier is None or first is None or earlier == tally.accepted.job:
            return
        living = self._sandbox.state.jobs.get(earlier)
        recent = exchange.at - first.accepted.at <= WINDOW
        if recent and living is not None and not living.ended:
            tally.repeats = Repeated(earlier, first.submit)

    def _look_at_the_clock(self, call: Call, exchange: Exchange) -> None:
        if call.account is None:
            return
        wait = self._waits.pop((call.account.number, call.operation), None)
        if wait is None:
            return
        waited = exchange.at - wait.at - (self._sandbox.jumped - wait.jumped)
        if waited < wait.seconds * SECOND:
            on_auto = self._sandbox.clock.mode == "auto"
            self.ignored.append(
                Ignored(
                    exchange.provider,
                    wait.number,
                    exchange.number,
                    wait.seconds,
                    waited,
                    on_auto,
                )
            )


def _spoiled(faults: Sequence[FaultRule]) -> bool:
    """Whether a caller cannot have read what was answered."""
    return any(isinstance(rule.do, SPOILING) for rule in faults)
