"""Same scenario, seed and calls: the same bytes. Another seed: other ids, and nothing else."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.stateful.asgi_client import Answer, Caller, Request
from tests.stateful.provider_calls import FACES, VENICE, VICSEE, Face
from tests.stateful.strategies import videos
from upsim import Simulator
from upsim.engine.seeds import Seeds
from upsim.providers import discover

KEY = "sk-the-same-in-all-runs"


@dataclass(slots=True)
class Run:
    """One simulator, and all that it answered."""

    simulator: Simulator
    caller: Caller
    answers: list[Answer]

    def ask(self, face: Face, request: Request) -> Answer:
        """Send a provider's request and keep the answer."""
        self.answers.append(self.caller.send(request, face.headers(KEY)))
        return self.answers[-1]

    def admin(self, method: str, path: str, body: object = None) -> Answer:
        """Call the admin API for the default sandbox and keep the answer."""
        self.answers.append(self.caller.admin(method, f"sandboxes/default/{path}", body))
        return self.answers[-1]

    def submit(self, face: Face, video: str = videos.SMALL) -> str:
        """Submit a video, which must be accepted, and return the job."""
        answer = self.ask(face, face.submit(video, face.options[0]))
        assert answer.status == 200, answer
        return face.job_of(answer.json())


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Return an event loop that is closed after the test."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


def a_day(loop: asyncio.AbstractEventLoop, *, seed: int, clock: str = "manual") -> list[Answer]:
    """Return the answers to a long sequence of calls at every provider."""
    with Simulator(seed=seed, clock=clock) as simulator:
        run = Run(simulator, Caller(simulator.app, loop), [])
        for round_ in range(3):
            for face in FACES.values():
                run.submit(face)
                job = run.submit(face, videos.ASSUMED)
                run.ask(face, face.submit("", face.options[0]))
                run.ask(face, face.poll(job))
                if clock == "manual":
                    run.admin("POST", "clock/advance", {"seconds": 7 * (round_ + 1)})
                run.ask(face, face.poll(job))
        run.ask(VICSEE, Request("GET", "/vicsee/api/v1/credits"))
        run.ask(VENICE, Request("GET", "/venice/api/v1/billing/usage-history"))
        upload = {"contentType": "video/mp4", "sizeBytes": 5}
        run.ask(VICSEE, Request("POST", "/vicsee/api/v1/upload", upload))
        run.admin("POST", "clock/advance", {"to": "idle"})
        run.admin("GET", "ledger")
        run.admin("GET", "jobs")
        run.admin("GET", "journal")
        return run.answers


@pytest.mark.parametrize("clock", ["manual", "auto"])
def test_same_seed_and_calls_give_the_same_bytes(
    loop: asyncio.AbstractEventLoop, clock: str
) -> None:
    """The same seed and calls give equal responses, including ids, times, `fired` and journal."""
    assert a_day(loop, seed=7, clock=clock) == a_day(loop, seed=7, clock=clock)


def test_a_reset_sandbox_responds_as_a_new_one(loop: asyncio.AbstractEventLoop) -> None:
    """After a reset, the same calls give the same ids again."""
    with Simulator(seed=7, clock="manual") as simulator:
        run = Run(simulator, Caller(simulator.app, loop), [])
        first = [run.submit(face) for face in FACES.values()]
        run.admin("POST", "reset")
        assert [run.submit(face) for face in FACES.values()] == first


@pytest.mark.parametrize("face", FACES.values(), ids=lambda face: face.name)
def test_another_seed_gives_other_ids(loop: asyncio.AbstractEventLoop, face: Face) -> None:
    """Two sandboxes with different seeds give different job ids."""
    ids = set()
    for seed in range(3):
        with Simulator(seed=seed, clock="manual") as simulator:
            ids.add(Run(simulator, Caller(simulator.app, loop), []).submit(face))
    assert len(ids) == 3


@pytest.mark.parametrize("face", FACES.values(), ids=lambda face: face.name)
def test_another_seed_changes_only_ids(loop: asyncio.AbstractEventLoop, face: Face) -> None:
    """Charges and times of a day are the same under every seed."""
    shown = []
    for seed in range(2):
        with Simulator(seed=seed, clock="manual") as simulator:
            run = Run(simulator, Caller(simulator.app, loop), [])
            run.submit(face)
            run.admin("POST", "clock/advance", {"to": "idle"})
            (account,) = simulator.sandbox.state.accounts.values()
            (job,) = simulator.sandbox.state.jobs.values()
            moves = [(move.at, move.state) for move in job.moves]
            shown.append((account.balance, moves, simulator.sandbox.now))
    assert shown[0] == shown[1]


@pytest.mark.parametrize("face", FACES.values(), ids=lambda face: face.name)
def test_jobs_of_one_provider_shift_no_ids_of_another(
    loop: asyncio.AbstractEventLoop, face: Face
) -> None:
    """Jobs of one provider do not change the ids of another provider's jobs."""
    with Simulator(seed=7, clock="manual") as simulator:
        alone = Run(simulator, Caller(simulator.app, loop), []).submit(face)
    with Simulator(seed=7, clock="manual") as simulator:
        run = Run(simulator, Caller(simulator.app, loop), [])
        for other in FACES.values():
            if other is not face:
                run.submit(other)
        assert run.submit(face) == alone


def test_a_refused_submit_draws_no_id(loop: asyncio.AbstractEventLoop) -> None:
    """A refused submit leaves no gap in the ids."""
    with Simulator(seed=7, clock="manual") as simulator:
        first = Run(simulator, Caller(simulator.app, loop), []).submit(VICSEE)
    with Simulator(seed=7, clock="manual") as simulator:
        run = Run(simulator, Caller(simulator.app, loop), [])
        run.ask(VICSEE, VICSEE.submit("", "2"))
        assert run.submit(VICSEE) == first


def test_a_draw_depends_on_its_name_alone() -> None:
    """The order of draws does not change them: each is a function of seed, purpose and count."""
    names = [("ids", 0, 0), ("ids", 0, 1), ("ids", 1, 0), ("faults", 0, 0), ("faults", 1, 0)]
    drawn = {name: Seeds(7).draw(*name).getrandbits(64) for name in names}
    seeds = Seeds(7)
    seeds.secret("anything", 32)
    again = {name: seeds.draw(*name).getrandbits(64) for name in reversed(names)}
    assert (drawn, len(set(drawn.values()))) == (again, len(names))


@pytest.mark.parametrize(
    ("provider", "names"),
    [
        ("piapi", "c6d848c3-6ba5-4faf-ab94-dd84a8fa5306 e6f40729-d316-4ec7-a5b2-a918ee28a259"),
        ("venice", "50c57404-463b-4f3e-8892-2146bdc13a79 3a8cfed2-0830-4610-92d8-d98ce22a94ad"),
        ("vicsee", "task_aoymupkj task_2mselzvi"),
        ("wavespeed", "10037e354d0ec75b40eec61732b13ab8 013545fc76e5e3f28b335bd87f574d8e"),
    ],
)
def test_ids_are_those_of_earlier_versions(provider: str, names: str) -> None:
    """A seed gives the same ids in every version, so that older exports replay."""
    draws = [Seeds(7).draw(f"{provider}/ids", 3, retry) for retry in (0, 1)]
    assert names == " ".join(discover()[provider].draw_id(draw) for draw in draws)


def test_draws_of_two_seeds_differ() -> None:
    """Two seeds give different bits for the same purpose and count."""
    assert Seeds(7).draw("ids", 0).getrandbits(64) != Seeds(8).draw("ids", 0).getrandbits(64)


@pytest.mark.parametrize("sizes", [(64, 128), (1, 511, 1), (600,), (512, 512), (0, 8)])
def test_a_draw_gives_as_many_bits_as_are_asked_for(sizes: tuple[int, ...]) -> None:
    """Bits taken in parts are the bits taken at once, also beyond one block of the hash."""
    whole, parts = Seeds(7).draw("ids", 0).getrandbits(sum(sizes)), Seeds(7).draw("ids", 0)
    shift = 0
    for size in sizes:
        assert parts.getrandbits(size) == (whole >> shift) & ((1 << size) - 1)
        shift += size


def test_a_secret_is_the_same_at_every_call() -> None:
    """A generated secret is the same at every call."""
    seeds = Seeds(7)
    assert seeds.secret("wavespeed-1/webhook", 32) == seeds.secret("wavespeed-1/webhook", 32)


@pytest.mark.parametrize(("alphabet", "length"), [("0123456789abcdef", 64), ("AB", 3), ("x", 0)])
def test_a_random_text_keeps_to_its_alphabet(alphabet: str, length: int) -> None:
    """A random text has the requested length and only letters of its alphabet."""
    text = Seeds(7).draw("keys", 0).text(alphabet, length)
    assert (len(text), set(text) <= set(alphabet)) == (length, True)
