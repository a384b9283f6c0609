"""Every scenario that ships, driven through real HTTP in virtual time, does what it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.conftest import SAMPLES, Sample, _at
from tests.http.fault_client import PROVIDERS as FAULTY_PROVIDERS
from tests.http.test_fault_scenarios import SCENARIOS as FAULTY
from tests.http.webhooks.conftest import HOOK, SECRET, Receiver, is_signed
from upsim import Simulator
from upsim.scenario.listing import listing
from upsim.scenario.loader import Library
from upsim.scenario.scenario_search import Term
from upsim.scenario.yaml_tree import parse_tree

TABLE = Path(__file__).with_name("scenarios.yaml")
LIBRARY = Library()
EVERYTHING = listing(LIBRARY)
VIDEO = "https://example.com/clip.mp4"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
BALANCES: Mapping[str, tuple[str, tuple[str | int, ...]]] = {
    "wavespeed": ("/api/v3/balance", ("data", "balance")),
    "venice": ("/api/v1/billing/balance", ("balances", "usd")),
    "piapi": ("/account/info", ("data", "wallet", "point_remain")),
    "vicsee": ("/api/v1/credits", ("data", "credits")),
}
WORDS: Mapping[str, tuple[str, ...]] = {
    "wavespeed": ("data", "status"),
    "venice": ("status",),
    "piapi": ("data", "status"),
    "vicsee": ("data", "status"),
}
CODES: Mapping[str, tuple[str, ...]] = {
    "wavespeed": ("data", "code"),
    "venice": ("error_code",),
    "piapi": ("data", "error", "code"),
    "vicsee": ("data", "error", "code"),
}
WEBHOOK_JOB: Mapping[str, tuple[str, ...]] = {
    "wavespeed": ("id",),
    "piapi": ("data", "task_id"),
}
WEBHOOK_WORD: Mapping[str, tuple[str, ...]] = {
    "wavespeed": ("status",),
    "piapi": ("data", "status"),
}


def read_table() -> dict[str, list[dict[str, Any]]]:
    """Return the steps of each scenario."""
    tree = parse_tree(TABLE.read_text("utf-8"), TABLE.name)
    assert tree.mistakes == []
    found: dict[str, list[dict[str, Any]]] = tree.value  # type: ignore[assignment]
    return found


STEPS = read_table()


@dataclass(slots=True)
class Story:
    """A simulator in a scenario, the jobs submitted so far, and the last of them.

    Each method is a step of the table: what is done, then what must come of it.
    """

    provider: str
    sim: Simulator
    http: httpx.Client
    admin: httpx.Client
    receiver: Receiver
    jobs: list[str] = field(default_factory=list)

    def submit(
        self,
        inputs: Mapping[str, Any],
        *,
        to: str = "",
        video: str = VIDEO,
        times: int = 1,
        status: int = 200,
        **expected: Any,  # noqa: ANN401 - cells of the table
    ) -> None:
        """Submit a video, perhaps many times; the last answer has these properties."""
        sample = SAMPLES[to] if to else self._sample()
        for _ in range(times):
            answer = sample.submit(self.http, video, **inputs)
            assert status == answer.status_code, answer.text
            found = _at(answer.json(), sample.id_at) if _is_json(answer, status) else None
            if status == 200 and found:
                self.jobs.append(found)
        self._meets(answer, expected)

    def notify(self, _inputs: Mapping[str, Any]) -> None:
        """Submit a video whose job tells a receiver of its end."""
        sample = self._sample()
        config = {"webhook_config": {"endpoint": HOOK, "secret": SECRET}}
        hooked = {
            "wavespeed": replace(sample, path=f"{sample.path}?webhook={HOOK}"),
            "piapi": replace(sample, body={**sample.body, "config": config}),
        }
        self.jobs.append(hooked[self.provider].job(self.http, VIDEO))

    def told(self, words: list[str]) -> None:
        """The receiver was told of these states."""
        at = WEBHOOK_WORD[self.provider]
        assert words == [_at(body, at) for body in self.receiver.bodies]

    def told_of(self, jobs: list[int]) -> None:
        """The receiver was told of these jobs, in this order."""
        at = WEBHOOK_JOB[self.provider]
        assert jobs == [self.jobs.index(_at(body, at)) for body in self.receiver.bodies]

    def trusted(self, verdicts: list[bool]) -> None:
        """A receiver that checks what came, as the provider's page says, decides so."""
        assert verdicts == [self._is_trusted(request) for request in self.receiver.requests]

    def ages(self, seconds: list[int]) -> None:
        """The timestamps of what came were so old."""
        stamps = [int(request.headers["webhook-timestamp"]) for request in self.receiver.requests]
        made = [d["stamp"] for d in self._deliveries()]
        assert seconds == [at - stamp for at, stamp in zip(made, stamps, strict=True)]

    def attempts(self, statuses: list[int]) -> None:
        """The last notification was attempted so often, with these answers."""
        assert statuses == [made["status"] for made in self._deliveries()[-1]["attempts"]]

    def delivery(self, outcome: str) -> None:
        """The last notification ended so."""
        assert outcome == self._deliveries()[-1]["outcome"]

    def poll(self, word: str | int, *, job: int = -1, **expected: Any) -> None:  # noqa: ANN401
        """Ask how a job is: its status word is this, or the HTTP status of the answer."""
        answer = self._sample().status(self.http, self.jobs[job])
        wanted = word if isinstance(word, int) else 200
        assert wanted == answer.status_code, answer.text
        self._meets(answer, expected if isinstance(word, int) else {"word": word, **expected})

    def refuse(self, name: str, *, status: int) -> None:
        """Ask for the balance, which is refused."""
        answer = self.http.get(BALANCES[self.provider][0])
        assert status == answer.status_code, answer.text
        self._meets(answer, {"refused": name})

    def balance(self, amount: str | None) -> None:
        """Ask the provider for the balance."""
        path, at = BALANCES[self.provider]
        found = _at(self.http.get(path).json(), at)
        assert amount == (None if found is None else str(found))

    def wait(self, how_long: str) -> None:
        """Let virtual time pass."""
        number, unit = re.fullmatch(r"([0-9.]+)([smhd])", how_long).groups()  # type: ignore[union-attr]
        order = {"seconds": f"{float(number) * UNITS[unit]:f}"}
        self._done(self.admin.post("/__sim/sandboxes/default/clock/advance", json=order))

    def midnight(self, instant: str) -> None:
        """Let virtual time pass until an instant."""
        order = {"to": instant}
        self._done(self.admin.post("/__sim/sandboxes/default/clock/advance", json=order))

    def command(self, state: str, *, job: int = -1) -> None:
        """Move a job on by the admin API."""
        path = f"/__sim/sandboxes/default/jobs/{self.jobs[job]}/state"
        self._done(self.admin.put(path, json={"state": state}))

    def states(self, words: list[str], *, job: int = -1) -> None:
        """The job went through these states."""
        shown = self._shown(job)
        assert words == [step["state"] for step in shown["timeline"]]

    def charged(self, amount: str | None, *, job: int = -1) -> None:
        """The job was charged this."""
        assert amount == self._shown(job)["charged"]

    def refunded(self, amount: str | None, *, job: int = -1) -> None:
        """The job's charge was given back, or not."""
        assert amount == self._shown(job)["refunded"]

    def download(self, status: int, *, job: int = -1) -> None:
        """Fetch the finished file by its link."""
        answer = self.admin.get(f"{self._base()}/media/outputs/{self.jobs[job]}.mp4")
        assert status == answer.status_code

    def call(
        self,
        request: str,
        *,
        body: Mapping[str, Any] | None = None,
        times: int = 1,
        status: int = 200,
        **expected: Any,  # noqa: ANN401 - cells of the table
    ) -> None:
        """Call another endpoint, perhaps many times; `{job}` stands for the last job."""
        job = self.jobs[-1] if self.jobs else ""
        method, path = request.replace("{job}", job).split(" ")
        filled = body and {k: job if v == "{job}" else v for k, v in body.items()}
        for _ in range(times):
            answer = self.http.request(method, path, json=filled)
            assert status == answer.status_code, answer.text[:500]
        self._meets(answer, expected)

    def _deliveries(self) -> list[Any]:
        found = self._done(self.admin.get("/__sim/sandboxes/default/webhooks"))
        return list(found["deliveries"])

    def _is_trusted(self, request: httpx.Request) -> bool:
        if self.provider == "piapi":
            return request.headers["x-webhook-secret"] == SECRET
        answer = self.http.get("/api/v3/webhook/secret").raise_for_status()
        return is_signed(request, answer.json()["data"]["secret"])

    def _sample(self) -> Sample:
        return next(s for s in SAMPLES.values() if s.provider == self.provider)

    def _base(self) -> str:
        return self.sim.base_url(self.provider).removesuffix(f"/{self.provider}")

    def _shown(self, job: int) -> Any:  # noqa: ANN401 - JSON
        return self._done(self.admin.get(f"/__sim/sandboxes/default/jobs/{self.jobs[job]}"))

    def _meets(self, answer: httpx.Response, expected: Mapping[str, Any]) -> None:
        for name, value in expected.items():
            assert value == self._seen(name, answer), f"{name}: {answer.text[:500]}"

    def _seen(self, name: str, answer: httpx.Response) -> object:
        """Return what an answer, or the admin API, says under a name of the table."""
        if name in ("charged", "refunded"):
            return self._shown(-1)[name]
        if name == "refused":
            found = self._done(self.admin.get("/__sim/sandboxes/default/journal?limit=1"))
            return found["exchanges"][-1]["refused_by"]
        if name.startswith("header "):
            return answer.headers.get(name.removeprefix("header "))
        if name == "keys":
            return sorted(answer.json())
        places = {"word": WORDS, "code": CODES}.get(name, {})
        return _at(answer.json(), places.get(self.provider, tuple(name.split("."))))

    def _done(self, answer: httpx.Response) -> Any:  # noqa: ANN401 - JSON
        assert answer.is_success, answer.text
        return answer.json()


def _is_json(answer: httpx.Response, status: int) -> bool:
    return status == 200 and answer.headers["content-type"] == "application/json"


Begin = Callable[[str, str], Story]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Return a function that starts a simulator in a scenario, on this clock."""
    with ExitStack() as stack:

        def start(name: str, clock: str) -> Story:
            provider = name.partition("/")[0]
            receiver = Receiver()
            options: dict[str, Any] = {"clock": clock, "seed": 1, "webhook_transport": receiver}
            sim = stack.enter_context(Simulator(scenario=name, **options))
            auth = LIBRARY.baseline(provider).baseline.auth
            headers = {auth.header: f"{auth.scheme} any".strip()}
            transport, base = sim.transport(), sim.base_url(provider)
            http = httpx.Client(transport=transport, base_url=base, headers=headers)
            admin = httpx.Client(transport=transport, base_url="http://127.0.0.1:4747")
            stack.enter_context(http)
            return Story(provider, sim, http, stack.enter_context(admin), receiver)

        yield start


@pytest.mark.parametrize("name", STEPS)
def test_a_scenario_does_what_its_summary_says(begin: Begin, name: str) -> None:
    """States, statuses, charges and refunds of a shipped scenario are those of the table."""
    steps = STEPS[name]
    story = begin(name, steps[0].get("clock", "manual"))

    for step in steps:
        (verb, argument), *rest = step.items()
        if verb != "clock":
            getattr(story, verb)(argument, **dict(rest))


def test_every_shipped_scenario_is_in_the_table() -> None:
    """Every shipped scenario has steps in a table.

    Scenarios with faults have their own table, because most of them end in connection errors.
    A scenario of a template has steps at one provider at least.
    """
    shipped = {name for name in LIBRARY.names() if not name.endswith("/baseline")}
    faulty = {f"{provider}/{name}" for provider in FAULTY_PROVIDERS for name in FAULTY}
    stepped = {name.partition("/")[2] for name in STEPS}
    common = {n for n in shipped if LIBRARY.template_of(n) and n.partition("/")[2] in stepped}

    assert shipped == set(STEPS) | faulty | common
    assert not faulty & set(STEPS)


def test_no_two_scenarios_have_the_same_summary() -> None:
    """The summaries of one provider's scenarios differ."""
    summaries = [(name.partition("/")[0], LIBRARY.load(name).summary) for name in LIBRARY.names()]

    assert len(summaries) == len(set(summaries))


def _refusals(value: object) -> Iterator[int]:
    """The statuses of refusals that steps expect."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            is_code = key in ("status", "poll", "download") and isinstance(inner, int)
            yield from (inner,) if is_code and inner >= 400 else _refusals(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _refusals(inner)


@pytest.mark.parametrize("name", [n for n in STEPS if not n.endswith("-as-the-url-says")])
def test_a_search_for_a_status_finds_the_scenario(name: str) -> None:
    """Name or summary of a scenario has the status of its refusal."""
    item = next(one for one in EVERYTHING if one.name == name)

    assert [s for s in _refusals(STEPS[name]) if not Term(str(s)).is_in(item)] == []
