"""What a scenario file says happens, seen through real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.conftest import SAMPLES, VICSEE_SUBMIT
from tests.http.fault_client import patient
from upsim import Simulator
from upsim.scenario.loader import Library, ScenarioError

VIDEO = "https://example.com/clip.mp4"


@dataclass(frozen=True, slots=True)
class World:
    """A simulator in a scenario of the test's own, and a client of its provider."""

    sim: Simulator
    http: httpx.Client

    def submit(self, **inputs: object) -> httpx.Response:
        """Submit a video to VicSee."""
        return self.http.post(VICSEE_SUBMIT, json={"video_url": VIDEO, **inputs})

    def job(self, **inputs: object) -> str:
        """Submit a video and return the id of the job."""
        found: str = self.submit(**inputs).json()["data"]["id"]
        return found

    def status(self, job: str) -> Any:  # noqa: ANN401 - JSON
        """Return the word for a job's state."""
        return self.http.get(f"/api/v1/tasks/{job}").json()["data"]["status"]

    def credits(self) -> Any:  # noqa: ANN401 - JSON
        """Return the balance."""
        return self.http.get("/api/v1/credits").json()["data"]["credits"]


Write = Callable[..., World]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Return a function that writes files and starts a simulator in the first of them."""
    with ExitStack() as stack:

        def start(*texts: str, provider: str = "vicsee", clock: str = "manual") -> World:
            for n, text in enumerate(texts):
                (tmp_path / f"f{n}.yaml").write_text(text, "utf-8")
            path = str(tmp_path / "f0.yaml")
            sim = stack.enter_context(Simulator(scenario=path, clock=clock, seed=1))
            client = httpx.Client(
                transport=sim.transport(),
                base_url=sim.base_url(provider),
                headers={"Authorization": "Bearer sk-any"},
            )
            return World(sim, stack.enter_context(client))

        yield start


def scenario(text: str) -> str:
    """Return a scenario that extends VicSee's baseline."""
    return f"extends: vicsee/baseline\n{text}\n"


def test_extends_over_several_levels(write: Write) -> None:
    """Each level changes the levels below, and all levels apply together."""
    world = write(
        "extends: f1.yaml\nlimits: {max_seconds: {value: '9'}}\n",
        "extends: f2.yaml\naccounts: {vicsee: {balance: 150}}\n",
        "extends: vicsee/success-for-completed\n",
    )
    job = world.job()
    world.sim.advance(600)

    assert ("success", 6) == (world.status(job), world.credits())
    assert 402 == world.submit().status_code


def test_a_variable_of_the_environment(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A balance can come from the environment."""
    monkeypatch.setenv("UPSIM_TEST_CREDITS", "200")
    text = 'accounts:\n  vicsee: {balance: "${UPSIM_TEST_CREDITS:-5}"}'

    assert 200 == write(scenario(text)).credits()


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("limits: {max_seconds: {value: '8'}}", 422, "VIDEO_TOO_LONG"),
        ("limits: {formats: {value: [mov]}}", 422, "PROBE_FAILED"),
        ("account: {opening: '143'}", 402, "INSUFFICIENT_CREDITS"),
        ("account: {plan: free}", 403, "FORBIDDEN"),
        ("plans: {unlimited: {access: false}}", 403, "FORBIDDEN"),
        ("media: [{url: '*', unreachable: true}]", 422, "PROBE_FAILED"),
        ("default_media: {duration: '61'}", 422, "VIDEO_TOO_LONG"),
        (
            "limits: {max_seconds: {value: '8'}}\nerrors: {too_long: {status: 400, code: NO}}",
            400,
            "NO",
        ),
        ("models: {topaz-video-upscale: {options: {upscale_factor: {default: '1'}}}}", 200, None),
    ],
)
def test_a_scenario_changes_facts(write: Write, text: str, status: int, code: str | None) -> None:
    """A scenario can set limits, accounts, plans, errors and media."""
    answer = write(scenario(text)).submit()

    assert (status, code) == (answer.status_code, answer.json().get("error", {}).get("code"))


def test_a_scenario_changes_the_order_of_checks(write: Write) -> None:
    """A scenario can make another refusal win."""
    bad = {"upscale_factor": "3", "video_url": ""}
    usual = write(scenario("seed: 1")).submit(**bad).json()["error"]["code"]
    checks = "[has_key, has_bearer_token, well_formed_key, issued_key, json_object, known_tool, "
    checks += "known_factor, has_video, fetchable, measurable]"
    other = write(scenario(f"checks: {{tools/upscale-video: {checks}}}")).submit(**bad)

    assert "MISSING_VIDEO_URL" == usual
    assert "INVALID_UPSCALE_FACTOR" == other.json()["error"]["code"]


RULES = """
jobs:
  - when: {upscale_factor: 4, video_url: "https://example.com/clip.mp4"}
    lifecycle: [{waiting: 10s}, {failed: generation_failed}]
  - when: {upscale_factor: "4"}
    lifecycle: [{waiting: 20s}, {completed: }]
  - lifecycle: [{waiting: {polls: 2}}, {processing: command}, {completed: }]
"""


def test_the_first_matching_rule_wins(write: Write) -> None:
    """Options and inputs select the rule of a job, and the first match wins."""
    world = write(scenario(RULES))
    jobs = [world.job(upscale_factor="4"), world.job(upscale_factor="4", video_url=VIDEO + "?")]
    world.sim.advance(15)
    early = [world.status(job) for job in jobs]
    world.sim.advance(10)

    assert ["failed", "pending"] == early
    assert ["failed", "completed"] == [world.status(job) for job in jobs]


def test_phases_end_by_polls_and_commands(write: Write) -> None:
    """A phase can end at its last poll, or by command."""
    world = write(scenario(RULES))
    job = world.job()
    world.sim.advance(86_400)
    seen = [world.status(job) for _ in range(4)]
    admin = httpx.Client(transport=world.sim.transport(), base_url="http://127.0.0.1:4747")
    state = {"state": "completed"}
    admin.put(f"/__sim/sandboxes/default/jobs/{job}/state", json=state).raise_for_status()

    assert ["pending", "pending", "processing", "processing"] == seen
    assert "completed" == world.status(job)


def test_a_rule_for_one_model(write: Write) -> None:
    """A rule can apply to one model of a provider."""
    rule = "{when: {model: runwayml/upscale-v1}, lifecycle: [{waiting: 1s}, {failed: task_failed}]}"
    world = write(f"extends: wavespeed/baseline\njobs: [{rule}]\n", provider="wavespeed")
    samples = [SAMPLES["upscale-v1"], SAMPLES["video-upscaler"]]
    jobs = [sample.job(world.http, VIDEO) for sample in samples]
    world.sim.advance(600)
    answers = [s.status(world.http, job) for s, job in zip(samples, jobs, strict=True)]

    assert ["failed", "completed"] == [answer.json()["data"]["status"] for answer in answers]


@pytest.mark.parametrize(
    ("copy", "status"), [(True, "completed"), (False, "failed"), (None, "completed")]
)
def test_a_rule_with_true_or_false(write: Write, copy: bool | None, status: str) -> None:  # noqa: FBT001
    """A rule can compare a field with true or false."""
    rule = "{when: {copy_audio: false}, lifecycle: [{waiting: 1s}, {failed: task_failed}]}"
    world = write(f"extends: wavespeed/baseline\njobs: [{rule}]\n", provider="wavespeed")
    sample = SAMPLES["video-upscaler"]
    job = sample.job(world.http, VIDEO, **({} if copy is None else {"copy_audio": copy}))
    world.sim.advance(600)

    assert status == sample.status(world.http, job).json()["data"]["status"]


@pytest.mark.parametrize(("after", "early", "late"), [("0", 0, 0), ("60", -144, 0)])
def test_a_refund_after_a_delay(write: Write, after: str, early: int, late: int) -> None:
    """A refund comes the given number of seconds after the end of the job."""
    text = f"refund: {{after: '{after}'}}\njobs: [{{lifecycle: [{{waiting: 5s}}, {{failed: }}]}}]"
    world = write(scenario(text))
    world.submit()
    world.sim.advance(64)
    before = world.credits()
    world.sim.advance(1)

    opening = 100_000_000
    assert (early, late) == (before - opening, world.credits() - opening)


def test_retention_of_jobs(write: Write) -> None:
    """A job is forgotten after the given number of seconds."""
    world = write(scenario("retention: {jobs: {value: '300'}}"))
    job = world.job()
    world.sim.advance(299)
    before = world.http.get(f"/api/v1/tasks/{job}").status_code
    world.sim.advance(1)

    assert (200, 404) == (before, world.http.get(f"/api/v1/tasks/{job}").status_code)


def test_a_knob_beats_the_dialect(write: Write) -> None:
    """A knob of a scenario beats the value of its dialect."""
    live = write(scenario("dialect: live")).submit().json()["data"]["status"]
    both = write(scenario("dialect: live\nknobs: {initial_status: pending}")).submit()

    assert ("processing", "pending") == (live, both.json()["data"]["status"])


def test_the_seed_of_a_scenario(write: Write) -> None:
    """A scenario's seed gives the same ids under every seed of the server."""
    jobs = [write(scenario(f"seed: {seed}")).job() for seed in (5, 5, 6)]

    assert jobs[0] == jobs[1] != jobs[2]


def test_the_clock_of_a_scenario(write: Write) -> None:
    """A scenario's clock is the clock of its sandbox."""
    assert "scaled:60" == write(scenario("clock: scaled:60")).sim.sandbox.clock.label


def test_accounts_of_another_provider(write: Write) -> None:
    """A scenario of one provider can fund accounts of another provider."""
    world = write(scenario("accounts: {venice: {balance: '5'}}"), provider="venice")

    assert 5 == world.http.get("/api/v1/billing/balance").json()["balances"]["usd"]


def test_the_size_of_a_media_rule_is_checked(write: Write) -> None:
    """The size in a media rule is compared with the provider's limit."""
    text = "limits: {video_bytes: {value: 100}}\nmedia: [{url: '*', duration: 1, bytes: 101}]"

    assert 422 == write(scenario(text)).submit().status_code


def test_the_size_of_a_local_file_is_checked(write: Write, tmp_path: Path) -> None:
    """The size of a local file is compared with the provider's limit."""
    (tmp_path / "clip.mp4").write_bytes(bytes(101))
    text = "limits: {video_bytes: {value: 100}}\nmedia: [{url: '*', file: clip.mp4}]"
    world = write(scenario(text))
    world.submit()
    (exchange,) = world.sim.sandbox.records.since(0)

    assert exchange.rule is not None
    assert "too_large" == exchange.rule.name


def test_changed_facts_are_assumed(write: Write) -> None:
    """A refusal by a rule that the scenario changed has the evidence `assumed`."""
    world = write(scenario("errors: {missing_video: {status: 418}}"))
    world.submit(video_url="")
    (exchange,) = world.sim.sandbox.records.since(0)

    assert exchange.rule is not None
    assert (418, "assumed") == (exchange.rule.status, exchange.rule.evidence.grade)


@pytest.mark.parametrize(
    ("when", "states"),
    [
        ('{video_url: "*fail*"}', ["failed", "completed"]),
        ('{upscale_factor: "[24]"}', ["failed", "failed"]),
        ('{upscale_factor: "4"}', ["completed", "completed"]),
    ],
)
def test_a_glob_in_when_of_jobs_matches(tmp_path: Path, when: str, states: list[str]) -> None:
    """A `when` of a job rule may be a glob, like that of a media rule or a fault."""
    path = tmp_path / "mine.yaml"
    rule = f"  - {{when: {when}, lifecycle: [{{processing: 1s}}, {{failed: generation_failed}}]}}"
    path.write_text(f"extends: vicsee/baseline\njobs:\n{rule}\n", "utf-8")
    with Simulator(str(path), clock="manual", seed=1) as sim:
        client = patient(sim)
        urls = [f"https://example.com/{name}.mp4" for name in ("fails", "works")]
        made = [client.submit(video_url=url).json()["data"]["id"] for url in urls]
        sim.advance(1000)

        assert states == [client.status(job) for job in made]


def test_an_impossible_glob_in_when_is_a_mistake(tmp_path: Path) -> None:
    """A glob that matches no value of an option is a mistake."""
    path = tmp_path / "mine.yaml"
    lines = (
        "extends: vicsee/baseline",
        "jobs:",
        '  - {when: {upscale_factor: "8*"}, lifecycle: [{processing: command}]}',
        "faults:",
        '  - {at: after_accept, when: {upscale_factor: "8*"}, do: drop_connection}',
    )
    path.write_text("\n".join(lines), "utf-8")
    with pytest.raises(ScenarioError) as caught:
        Library().load(str(path))

    assert ["jobs[0].when.upscale_factor", "faults[0].when.upscale_factor"] == [
        mistake.place for mistake in caught.value.mistakes
    ]
