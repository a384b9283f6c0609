"""Names in a scenario that must exist elsewhere in it, and how steps of jobs are written."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from upsim.core.lifecycle import Duration, PhaseRule
from upsim.core.states import State
from upsim.scenario.loader import Library, ScenarioError
from upsim.scenario.model import Scenario
from upsim.scenario.references import unknown

Load = Callable[[str], Scenario]
POLLS = "a step ends by {polls: <whole number from 1>}, or as a text says"
FAILURES = "generation_failed, cancelled, timeout"
ONE_OF = "a rule needs one of duration, file, unreachable, not_a_video"
STEP = "2:22: jobs[0].lifecycle[0]"
PHASE = "models.topaz-video-upscale.lifecycle.phases[0]"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that loads a scenario which extends VicSee's baseline."""

    def write(text: str) -> Scenario:
        path = tmp_path / "a.yaml"
        path.write_text(f"extends: vicsee/baseline\n{text}\n", "utf-8")
        return Library().load(str(path))

    return write


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("dialect: lively", "2:1: dialect: unknown dialect 'lively'; did you mean live?"),
        ("account: {plan: prow}", "2:11: account.plan: unknown plan 'prow'; did you mean pro?"),
        (
            "accounts: {vicsee: {plan: prow}}",
            "2:21: accounts.vicsee.plan: unknown plan 'prow'; did you mean pro?",
        ),
        ("media: [{url: x}]", f"2:9: media[0]: {ONE_OF}; this one has none"),
        (
            "media: [{url: x, duration: 1, file: y}]",
            f"2:9: media[0]: {ONE_OF}; this one has duration and file",
        ),
        (
            "jobs: [{lifecycle: [{failed: broken}]}]",
            f"{STEP}.failed: unknown failure 'broken'; there are {FAILURES}",
        ),
        (
            "jobs: [{lifecycle: [{failed: generation_fails}]}]",
            f"{STEP}.failed: unknown failure 'generation_fails'; did you mean generation_failed?",
        ),
        (
            "jobs: [{lifecycle: [{waiting: 90}]}]",
            f"{STEP}.waiting: 90 is no duration such as 90s, nor command, nor {{polls: 2}}",
        ),
        ("jobs: [{lifecycle: [{waiting: {polls: 0}}]}]", f"{STEP}.waiting: {POLLS}"),
        ("jobs: [{lifecycle: [{waiting: {polls: x}}]}]", f"{STEP}.waiting: {POLLS}"),
        ("jobs: [{lifecycle: [{waiting: {pols: 2}}]}]", f"{STEP}.waiting: {POLLS}"),
        ("jobs: [{lifecycle: [{waiting: {polls: 2, or: 3}}]}]", f"{STEP}.waiting: {POLLS}"),
        (
            "models: {topaz-video-upscale: {lifecycle: {phases: [{state: failed, failure: no}]}}}",
            f"2:69: {PHASE}.failure: unknown failure 'no'; there are {FAILURES}",
        ),
        (
            "knobs: {funds_text: {guide: zzz}}",
            "2:9: knobs.funds_text: unknown value 'zzz'; there are plain, amounts",
        ),
    ],
)
def test_names_that_do_not_exist(load: Load, text: str, mistake: str) -> None:
    """A name without a meaning is a mistake at its line and column."""
    with pytest.raises(ScenarioError) as caught:
        load(text)

    assert [mistake] == [str(found).partition("a.yaml:")[2] for found in caught.value.mistakes]


@pytest.mark.parametrize(
    ("step", "rule"),
    [
        ("waiting: 90s", PhaseRule(State.WAITING, Duration(base=Decimal(90)))),
        ("waiting: 250ms", PhaseRule(State.WAITING, Duration(base=Decimal("0.25")))),
        ("waiting: 1.5m", PhaseRule(State.WAITING, Duration(base=Decimal(90)))),
        ("waiting: 2h", PhaseRule(State.WAITING, Duration(base=Decimal(7200)))),
        ("waiting: 1d", PhaseRule(State.WAITING, Duration(base=Decimal(86_400)))),
        ("waiting: {polls: 2}", PhaseRule(State.WAITING, None, polls=2)),
        ("waiting: command", PhaseRule(State.WAITING, None)),
        ("completed: ~", PhaseRule(State.COMPLETED, None)),
        ("failed: ~", PhaseRule(State.FAILED, None)),
        ("failed: generation_failed", PhaseRule(State.FAILED, None, failure="generation_failed")),
    ],
)
def test_steps(load: Load, step: str, rule: PhaseRule) -> None:
    """A step ends after a time, after polls, by command, or is an end with its failure."""
    (found,) = load(f"jobs: [{{lifecycle: [{{{step}}}]}}]").jobs

    assert found.phases == (rule,)


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        ("{}", True),
        ("{upscale_factor: 4}", True),
        ("{upscale_factor: '4', video_url: x}", True),
        ("{upscale_factor: 2}", False),
        ("{prompt: x}", False),
    ],
)
def test_when_a_rule_speaks_of_a_job(load: Load, when: str, *, matches: bool) -> None:
    """All values of a rule must hold, however they are written."""
    (found,) = load(f"jobs: [{{when: {when}, lifecycle: [{{waiting: 1s}}]}}]").jobs

    assert matches is found.matches({"upscale_factor": "4", "video_url": "x"})


@pytest.mark.parametrize(
    ("url", "matches"),
    [("https://a/b.mp4", True), ("https://a/B.MP4", False), ("http://a/", False)],
)
def test_when_a_rule_speaks_of_a_url(load: Load, url: str, *, matches: bool) -> None:
    """URLs are matched by glob, capitals and all."""
    (found,) = load('media: [{url: "https://*.mp4", unreachable: true}]').media

    assert matches is found.matches(url)


def test_nothing_to_choose_from() -> None:
    """Where nothing of a kind exists, the sentence says so."""
    assert unknown("knob", "x", []) == "unknown knob 'x'; there are none"
