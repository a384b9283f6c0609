"""Which requests take the slower path of faults, and that the fast path changes no response."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.http.fault_client import patient
from tests.samples import model_calls
from upsim import Simulator
from upsim.core.call import Call, Pending
from upsim.core.faults import FaultRule, Headers, Respond, Stage, Truncate, Word
from upsim.core.media import Measured
from upsim.core.states import JobState
from upsim.engine.faults import arm
from upsim.engine.sandbox import Sandbox
from upsim.web import dispatch
from upsim.web.faulty_responses import Faulty

SECOND = 1_000_000
STAGES: tuple[Stage, ...] = ("before_accept", "after_accept", "poll", "download", "mid_body")
PROVIDERS = sorted({made.provider for made in model_calls()})

PRESENT = "present"
"""Stands for the state of the job."""


@pytest.fixture
def slow() -> Iterator[list[Faulty]]:
    """Return the list of the requests that take the slower path."""
    taken: list[Faulty] = []

    def counted(*args: Any) -> Faulty:  # noqa: ANN401 - those of Faulty
        taken.append(Faulty(*args))
        return taken[-1]

    with patch.object(dispatch, "Faulty", counted):
        yield taken


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("rule", "submits", "polls"),
    [
        ({"at": "download", "do": Truncate(5)}, 0, 0),
        ({"at": "poll", "account": "nobody"}, 0, 0),
        ({"at": "poll", "state": JobState.FAILED}, 0, 0),
        ({"at": "poll", "state": PRESENT}, 0, 1),
        ({"at": "poll", "on": "no-such*"}, 0, 0),
        ({"at": "mid_body", "when": (("never", "so"),)}, 0, 0),
        ({"at": "mid_body", "on": "*"}, 1, 1),
        ({"at": "before_accept", "when": (("never", "so"),)}, 0, 0),
        ({"at": "before_accept"}, 1, 0),
        ({"at": "after_accept", "account": "nobody"}, 0, 0),
        ({"at": "after_accept"}, 1, 0),
        ({"at": "upload"}, 0, 0),
        ({"at": "webhook", "do": Word.LOSE}, 0, 0),
        ({"at": "poll", "provider": "another"}, 0, 0),
    ],
    ids=str,
)
def test_only_matching_requests_take_the_slower_path(
    slow: list[Faulty], provider: str, rule: dict[str, Any], submits: int, polls: int
) -> None:
    """A fault that cannot match a submit or a poll leaves it on the fast path."""
    with Simulator(clock="manual", seed=1) as sim:
        client = patient(sim, provider)
        job = client.job()
        if rule.get("state") == PRESENT:
            rule = {**rule, "state": sim.sandbox.state.jobs[job].state}
        chosen = {"provider": provider, "do": Headers((("x-f", "1"),)), **rule}
        arm(sim.sandbox, FaultRule("f1", **chosen))

        client.submit()
        after_submit = len(slow)
        client.poll(job)

        assert (submits, polls) == (after_submit, len(slow) - after_submit)


def test_a_download_fault_changes_the_file_of_an_operation() -> None:
    """Faults of downloads also apply to the operation that responds with the file itself."""
    with Simulator(clock="manual", seed=1) as sim:
        client = patient(sim, "vicsee")
        job = client.job()
        client.admin("POST", "clock/advance", {"to": "idle"})
        client.arm(at="download", first=1, do={"headers": {"x-f": "1"}})
        url = f"/api/v1/tasks/{job}/download?mode=proxy"
        found = [client.http.get(url).headers.get("x-f") for _ in range(2)]

    assert ["1", None] == found


def test_a_fault_that_a_change_arms_while_a_video_is_measured_fires(tmp_path: Path) -> None:
    """A request that waits for a measurement gets the faults that are armed when it is decided."""
    path = tmp_path / "mine.yaml"
    change = "{after: 1s, set: {faults: [{at: after_accept, do: {respond: 503}}]}}"
    media = "media: [{url: '*', file: c.mp4}]"
    path.write_text(f"extends: vicsee/baseline\n{media}\nchanges: [{change}]\n")
    with Simulator(str(path), clock="manual", seed=1) as sim:
        client = patient(sim, "vicsee")
        video = client.http.get("http://upsim.test/media/synthetic/64x36_30fps_2s.mp4").content
        (tmp_path / "c.mp4").write_bytes(video)
        desk = sim.app.dispatch.media_service
        measure = desk.measure

        async def slowly(sandbox: Sandbox, call: Call, wanted: Pending) -> Measured:
            found = await measure(sandbox, call, wanted)
            sandbox.clock.jump(sandbox.now + SECOND)
            return found

        desk.measure = slowly  # type: ignore[method-assign]

        assert 503 == client.submit().status_code


def test_the_fast_path_changes_no_response_and_no_count() -> None:
    """The same requests and faults give the same with all requests on the slower path."""
    fired = 0
    for provider, seed in ((provider, seed) for provider in PROVIDERS for seed in range(12)):
        fast = session(provider, seed)
        with patch.object(dispatch, "may_match", return_value=True):
            assert session(provider, seed) == fast
        fired += sum(count for _, count in fast[1])

    assert fired > len(PROVIDERS)


def session(provider: str, seed: int) -> tuple[list[Any], list[tuple[int, int]]]:
    """Return responses to random requests with random faults, and the counts of the faults."""
    rng = random.Random(seed)  # noqa: S311 - a test
    with Simulator(clock="manual", seed=5) as sim:
        client = patient(sim, provider)
        jobs = [client.job()]
        for number in range(rng.randint(1, 4)):
            arm(sim.sandbox, random_rule(rng, f"f{number}", provider))
        found = []
        for _ in range(12):
            if rng.random() < 1 / 2:
                response = client.submit()
                jobs = [*sim.sandbox.state.jobs]
            else:
                response = client.poll(rng.choice([*jobs, "nosuch"]))
            found.append((response.status_code, response.headers.get("x-f"), response.content))
            if rng.random() < 1 / 4:
                client.admin("POST", "clock/advance", {"seconds": rng.randint(1, 200)})
        return found, [(armed.matched, armed.fired) for armed in sim.sandbox.state.faults.values()]


def random_rule(rng: random.Random, name: str, provider: str) -> FaultRule:
    """Return a fault with random conditions."""
    at = rng.choice(STAGES)
    early = at in ("before_accept", "after_accept", "poll")
    return FaultRule(
        name,
        provider,
        at,
        Respond(status=503, body=name) if early else Headers((("x-f", name),)),
        on=rng.choice([None, None, "*", "*t*", "video/queue"]),
        account=rng.choice([None, None, "1", "nobody"]),
        when=rng.choice([(), (), (("video_url", "*"),), (("model", "*"),)]),
        state=rng.choice([None, None, *JobState]),
        first=rng.choice([None, 1, 3]),
        every=rng.randint(1, 2),
        after=rng.randint(0, 2),
    )
