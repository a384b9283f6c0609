"""Sandboxes that live long: memory ends somewhere, money is exact to the end."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from tests.stateful.asgi_client import Answer, Caller
from tests.stateful.invariants import ALL
from tests.stateful.provider_calls import FACES, PIAPI, VENICE, VICSEE, WAVESPEED, Face
from tests.stateful.strategies import videos
from upsim import Simulator
from upsim.core.instants import SECOND
from upsim.core.ledger import Account
from upsim.core.states import JobState
from upsim.engine.retention import FORGET_AT_ONCE
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_request import SandboxRequest

DAY = 86_400
RICH = 1_000_000_000
EVENTS_PER_JOB = 5


@dataclass(slots=True)
class Life:
    """One sandbox and what was ever the most in it."""

    sandbox: Sandbox
    keys: Mapping[str, str]
    caller: Caller
    sizes: list[tuple[int, int, int]] = field(default_factory=list)

    def submit(self, face: Face, count: int) -> list[str]:
        """Submit a small video `count` times and return the jobs."""
        request = face.submit(videos.SMALL, face.options[0])
        answers = [
            self.caller.send(request, face.headers(self.keys[face.name])) for _ in range(count)
        ]
        assert {answer.status for answer in answers} == {200}
        return [face.job_of(answer.json()) for answer in answers]

    def poll(self, face: Face, job: str) -> Answer:
        """Ask how a job is."""
        return self.caller.send(face.poll(job), face.headers(self.keys[face.name]))

    def pass_by(self, seconds: int) -> None:
        """Let time pass, then see how much is kept."""
        sandbox = self.sandbox
        for _ in sandbox.advance(sandbox.run_due() + seconds * SECOND):
            pass
        self.sizes.append((len(sandbox.state.jobs), len(sandbox.events()), len(sandbox.deadlines)))

    def account(self, provider: str) -> Account:
        """Return the account of the one key."""
        found = [a for a in self.sandbox.state.accounts.values() if a.provider == provider]
        return found[0]

    def most(self, since: int) -> tuple[int, ...]:
        """Return the most jobs, events and deadlines that there were from a moment on."""
        return tuple(map(max, zip(*self.sizes[since:], strict=True)))


Begin = Callable[..., Life]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Return a function that begins a life with a cap on finished jobs."""
    loop = asyncio.new_event_loop()
    simulators = []

    def make(jobs_max: int = 100_000) -> Life:
        simulator = Simulator(clock="manual", jobs_max=jobs_max)
        simulators.append(simulator)
        balances = dict.fromkeys(FACES, Decimal(RICH))
        sandbox, keys = simulator.registry.create(SandboxRequest(clock="manual", balances=balances))
        return Life(sandbox, keys, Caller(simulator.app, loop))

    yield make
    for simulator in simulators:
        simulator.close()
    loop.close()


def past_retention(life: Life, face: Face) -> None:
    """Live for twenty days with a hundred jobs a day."""
    for _ in range(20):
        life.submit(face, 100)
        life.pass_by(DAY)


@pytest.mark.parametrize(
    ("face", "days"), [(WAVESPEED, 8), (VENICE, 3)], ids=["wavespeed", "venice"]
)
def test_jobs_past_their_retention_are_forgotten(begin: Begin, face: Face, days: int) -> None:
    """Jobs past their retention are forgotten, with their deadlines."""
    life = begin()
    past_retention(life, face)
    jobs, _, deadlines = life.most(since=10)
    assert (jobs <= days * 100, deadlines <= days * 100) == (True, True)


def test_the_event_log_of_a_long_life_stays_short(begin: Begin) -> None:
    """In a sandbox that runs for long, the event log is compacted and stays short."""
    life = begin()
    for _ in range(20):
        life.submit(WAVESPEED, 300)
        life.pass_by(DAY)
    _, events, _ = life.most(since=10)
    assert events < 2 * EVENTS_PER_JOB * 8 * 300


@pytest.mark.parametrize("face", FACES.values(), ids=lambda face: face.name)
def test_finished_jobs_above_the_cap_are_forgotten(begin: Begin, face: Face) -> None:
    """The cap limits the stored finished jobs, their deadlines and their events."""
    life = begin(jobs_max=200)
    for _ in range(20):
        life.submit(face, 100)
        life.pass_by(600)
    kept = 200 + FORGET_AT_ONCE
    jobs, events, deadlines = life.most(since=10)
    assert jobs < kept
    assert events < 2 * EVENTS_PER_JOB * kept
    assert deadlines < 4 * kept


def test_running_jobs_are_never_forgotten(begin: Begin) -> None:
    """The cap counts finished jobs only, so a running job is never forgotten."""
    life = begin(jobs_max=10)
    jobs = life.submit(VICSEE, 2000)
    assert len(life.sandbox.state.jobs) == len(jobs)


def test_the_oldest_finished_jobs_are_forgotten_first(begin: Begin) -> None:
    """If finished jobs exceed the cap, the newest are kept and the oldest are forgotten."""
    life = begin(jobs_max=300)
    jobs = []
    for _ in range(20):
        jobs += life.submit(VICSEE, 100)
        life.pass_by(600)
    assert list(life.sandbox.state.jobs) == jobs[FORGET_AT_ONCE:]


def test_expired_jobs_do_not_count_for_the_cap(begin: Begin) -> None:
    """Jobs that retention removed do not count for the cap, however many jobs there were."""
    life = begin(jobs_max=500)
    kept = life.submit(VICSEE, 50)
    for _ in range(40):
        life.submit(WAVESPEED, 100)
        life.pass_by(8 * DAY)
    assert set(kept) <= set(life.sandbox.state.jobs)


def test_the_event_names_the_cap_as_reason(begin: Begin) -> None:
    """The event of a forgotten job says that the cap was the reason."""
    life = begin(jobs_max=100)
    reasons: list[object] = []
    life.sandbox.subscribe(
        lambda events: reasons.extend(getattr(event, "reason", None) for event in events)
    )
    life.submit(VICSEE, 100 + FORGET_AT_ONCE)
    life.pass_by(600)
    assert set(reasons) - {None} == {"cap"}


def test_a_forgotten_job_is_unknown(begin: Begin) -> None:
    """A forgotten job gets the same response as an unknown id."""
    life = begin()
    (job,) = life.submit(WAVESPEED, 1)
    life.pass_by(8 * DAY)
    assert life.poll(WAVESPEED, job).status == 404


def test_money_is_exact_after_thousands_of_forgotten_jobs(begin: Begin) -> None:
    """After 4,000 forgotten jobs, a quarter of them refunded, the balance is exact."""
    life = begin(jobs_max=50)
    for _ in range(40):
        jobs = life.submit(PIAPI, 100)
        for job in jobs[::4]:
            life.sandbox.jobs.move(life.sandbox.state.jobs[job], JobState.FAILED)
        life.pass_by(600)
    assert life.account("piapi").balance == Decimal(RICH - 3_000 * 60_000)


def test_ledger_entries_of_forgotten_jobs_are_merged(begin: Begin) -> None:
    """The entries of forgotten jobs are merged into one first entry; the balance is exact."""
    life = begin()
    life.submit(WAVESPEED, 3)
    life.pass_by(8 * DAY)
    (carried,) = life.account("wavespeed").entries.values()
    assert (carried.kind, carried.number, carried.amount) == ("carried", 0, Decimal("-0.075"))


@pytest.mark.parametrize("holds", ALL, ids=lambda holds: holds.__name__)
def test_invariants_hold_after_a_long_life(begin: Begin, holds: Callable[[Sandbox], None]) -> None:
    """Every invariant also holds in a sandbox that ran for long, including a replay of its log."""
    life = begin(jobs_max=100)
    for _ in range(12):
        for face in FACES.values():
            life.submit(face, 60)
        life.pass_by(DAY)
    holds(life.sandbox)
