"""Histories: lawful sequences of events of one sandbox, long enough to forget and to compact."""

from collections.abc import Callable
from decimal import Decimal

from hypothesis import strategies as st

from upsim.core.events import (
    AccountChanged,
    AccountOpened,
    Event,
    JobAccepted,
    JobMarked,
    JobMoved,
    JobsForgotten,
    JobStarted,
    QuotaUsed,
    RulesChanged,
    UploadIssued,
    UploadsForgotten,
    UploadStored,
)
from upsim.core.ledger import Entry
from upsim.core.pricing import PriceQuote
from upsim.core.states import JobState, Phase
from upsim.core.url_builder import UrlBuilder
from upsim.engine.sandbox_state import SandboxState

ORIGIN = UrlBuilder("http://upsim.test", "", "", "")
PHASES = (Phase(JobState.WAITING, lasts=2), Phase(JobState.PROCESSING, lasts=3))
UNIT = "credit"


class Historian:
    """Writes events that a sandbox could have written, and knows what they add up to."""

    def __init__(self) -> None:
        """Begin with two accounts."""
        self.events: list[Event] = []
        self.state = SandboxState()
        self.at = 0
        self._number = 0
        for account in (1, 2):
            self.write(
                AccountOpened(0, account, "toy", f"toy-{account}", Decimal(1000), UNIT, "free")
            )

    def write(self, *events: Event) -> None:
        """Append events and take them into the state."""
        self.events += events
        self.state.apply(events)

    def accept(self, account: int, amount: Decimal) -> None:
        """Accept a job; every third one has to wait for a slot."""
        self._number += 1
        name = f"job{self._number}"
        accepted = JobAccepted(
            at=self.at,
            job=name,
            account=account,
            provider="toy",
            model="toy",
            operation="submit",
            inputs={},
            options={},
            media=None,
            output=None,
            quote=PriceQuote(amount, UNIT, amount, Decimal(1), "flat", ""),
            phases=PHASES,
            origin=ORIGIN,
            rules="",
            source="",
            queued=self._number % 3 == 0,
        )
        self.write(accepted, self._entry(account, "charge", -amount, job=name))

    def start(self, index: int) -> None:
        """Give a slot to a job that waits for one."""
        waiting = [job for job in self.state.jobs.values() if not job.started and not job.ended]
        if waiting:
            self.write(JobStarted(self.at, waiting[index % len(waiting)].id))

    def end(self, index: int, state: JobState) -> None:
        """End a job; what failed is paid back."""
        unfinished = [job for job in self.state.jobs.values() if not job.ended]
        if not unfinished:
            return
        job = unfinished[index % len(unfinished)]
        self.write(JobMoved(self.at, job.id, state, planned=False))
        if state is JobState.FAILED:
            account, back = job.accepted.account, job.accepted.quote.amount
            self.write(self._entry(account, "refund", back, job=job.id))

    def mark(self, index: int) -> None:
        """Put a note on a job."""
        names = list(self.state.jobs)
        if names:
            self.write(JobMarked(self.at, names[index % len(names)], "finalised"))

    def forget(self, count: int) -> None:
        """Forget the oldest finished jobs."""
        ended = [job.id for job in self.state.jobs.values() if job.ended][:count]
        if ended:
            self.write(JobsForgotten(self.at, tuple(ended), "retention"))

    def reuse(self, account: int) -> None:
        """Accept a job under the name of the first one, which is possible once it is forgotten."""
        if self._number and "job1" not in self.state.jobs:
            self._number, number = 0, self._number
            self.accept(account, Decimal(7))
            self._number = number

    def top_up(self, account: int, amount: Decimal) -> None:
        """Add a top-up to the ledger."""
        self.write(self._entry(account, "top_up", amount))

    def call(self, account: int, window: int) -> None:
        """Take a place of a rate limit."""
        self.write(QuotaUsed(self.at, account, "minute", self.at // 10 * 10 + window))

    def upload(self, account: int) -> None:
        """Issue a ticket and store its file."""
        self._number += 1
        name = f"upload{self._number}"
        ticket = UploadIssued(self.at, name, "toy", account, "a", "video/mp4", None, "", 99, 99)
        self.write(ticket, UploadStored(self.at, name, "digest", 1, 99))

    def forget_upload(self, index: int) -> None:
        """Forget an upload."""
        names = list(self.state.uploads)
        if names:
            self.write(UploadsForgotten(self.at, (names[index % len(names)],)))

    def change_plan(self, account: int) -> None:
        """Put an account on another plan."""
        self.write(AccountChanged(self.at, account, f"plan{self.at}"))

    def change_rules(self, provider: str) -> None:
        """Let other rules hold."""
        self.write(RulesChanged(self.at, provider, f"rules{self.at}", "reload"))

    def _entry(self, account: int, kind: str, amount: Decimal, *, job: str | None = None) -> Entry:
        return Entry(
            at=self.at,
            number=self.state.entry_count + 1,
            account=account,
            kind=kind,  # type: ignore[arg-type]  # one of the kinds, given by this class alone
            amount=amount,
            unit=UNIT,
            job=job,
        )


Step = Callable[[Historian], None]

accounts = st.sampled_from([1, 2])
indexes = st.integers(0, 5)
amounts = st.decimals("0", "99", places=6)

steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(lambda a, m: lambda h: h.accept(a, m), accounts, amounts),
    st.builds(lambda i: lambda h: h.start(i), indexes),
    st.builds(
        lambda i, s: lambda h: h.end(i, s),
        indexes,
        st.sampled_from([JobState.COMPLETED, JobState.FAILED, JobState.DELETED]),
    ),
    st.builds(lambda i: lambda h: h.mark(i), indexes),
    st.builds(lambda n: lambda h: h.forget(n), st.integers(1, 4)),
    st.builds(lambda a: lambda h: h.reuse(a), accounts),
    st.builds(lambda a, m: lambda h: h.top_up(a, m), accounts, amounts),
    st.builds(lambda a, w: lambda h: h.call(a, w), accounts, st.integers(0, 1)),
    st.builds(lambda a: lambda h: h.upload(a), accounts),
    st.builds(lambda i: lambda h: h.forget_upload(i), indexes),
    st.builds(lambda a: lambda h: h.change_plan(a), accounts),
    st.builds(lambda p: lambda h: h.change_rules(p), st.sampled_from(["toy", "other"])),
)


def written(chosen: list[Step]) -> Historian:
    """Return a historian after these steps, a moment apart."""
    historian = Historian()
    for step in chosen:
        historian.at += 1
        step(historian)
    return historian


histories = st.lists(steps, min_size=5, max_size=60).map(written)
