"""Names in a scenario that must exist elsewhere in it, and how steps of jobs are written."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from upsim.core.lifecycle import JobDuration, PhaseRule
from upsim.core.states import JobState
from upsim.scenario.loader import Library, ScenarioError
from upsim.scenario.model import Scenario

Load = Callable[[str], Scenario]
STEPS = "a step ends after a duration such as 90s, after {polls: <number from 1>}, or by command"
FAILURES = "generation_failed, cancelled, timeout"
ONE_OF = "a rule needs one of duration, file, unreachable, not_a_video"
STEP = "2:22: jobs[0].lifecycle[0]"
END = "2:41: jobs[0].lifecycle[1]"
WHEN = "2:16: jobs[0].when"
STAYS = "a job that is completed does not change any more; write `completed:` without a value"
PHASES = "models: {topaz-video-upscale: {lifecycle: {phases: [{state: waiting},"
WORKS = "jobs: [{lifecycle: [{processing: 10s}, "
PHASE = "models.topaz-video-upscale.lifecycle.phases[1]"


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
        (
            "auth: {second: {header: x-key, scheme: '', knob: factor_typ, value: lenient}}",
            "2:44: auth.second.knob: unknown knob 'factor_typ'; did you mean factor_type?",
        ),
        (
            "auth: {second: {header: x-key, scheme: '', knob: factor_type, value: lenien}}",
            "2:63: auth.second.value: unknown value 'lenien'; did you mean lenient?",
        ),
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
            f"{WORKS}{{failed: broken}}]}}]",
            f"{END}.failed: unknown failure 'broken'; allowed: {FAILURES}",
        ),
        (
            f"{WORKS}{{failed: generation_fails}}]}}]",
            f"{END}.failed: unknown failure 'generation_fails'; did you mean generation_failed?",
        ),
        (
            f"{WORKS}{{failed: 90s}}]}}]",
            f"{END}.failed: unknown failure '90s'; allowed: {FAILURES}",
        ),
        (
            f"{WORKS}{{completed: 90s}}]}}]",
            f"{END}.completed: {STAYS}",
        ),
        (
            "jobs: [{lifecycle: [{failed: ~}]}]",
            f"{STEP}.failed: a job starts waiting or processing",
        ),
        (
            f"{WORKS}{{waiting: command}}]}}]",
            f"{END}.waiting: a job that is processing cannot become waiting",
        ),
        (
            f"{WORKS}{{completed: ~}}, {{failed: ~}}]}}]",
            "2:57: jobs[0].lifecycle[2].failed: a job that is completed cannot become failed",
        ),
        (
            "jobs: [{lifecycle: [{waiting: 9s}]}]",
            f"{STEP}.waiting: the last step has no end state: add one, or write command",
        ),
        (
            f"{PHASES} {{state: failed, failure: no}}]}}}}}}",
            f"2:87: {PHASE}.failure: unknown failure 'no'; allowed: {FAILURES}",
        ),
        (
            "jobs: [{when: {upscale_facto: 2}, lifecycle: [{waiting: ~}]}]",
            f"{WHEN}.upscale_facto: no model has this option; did you mean upscale_factor?",
        ),
        (
            "jobs: [{when: {upscale_factor: 3}, lifecycle: [{waiting: ~}]}]",
            f"{WHEN}.upscale_factor: unknown value '3'; allowed: 1, 2, 4",
        ),
        (
            "jobs: [{when: {model: topaz-video-upscal}, lifecycle: [{waiting: ~}]}]",
            f"{WHEN}.model: unknown value 'topaz-video-upscal'; did you mean topaz-video-upscale?",
        ),
        (
            "knobs: {funds_text: {guide: zzz}}",
            "2:9: knobs.funds_text: unknown value 'zzz'; allowed: plain, amounts",
        ),
    ],
)
def test_unknown_names(load: Load, text: str, mistake: str) -> None:
    """An unknown name in a scenario is a mistake at its line and column."""
    with pytest.raises(ScenarioError) as caught:
        load(text)

    assert [mistake] == [str(found).partition("a.yaml:")[2] for found in caught.value.mistakes]


@pytest.mark.parametrize(
    ("step", "rule"),
    [
        ("waiting: 90s", PhaseRule(JobState.WAITING, JobDuration(base=Decimal(90)))),
        ("waiting: 250ms", PhaseRule(JobState.WAITING, JobDuration(base=Decimal("0.25")))),
        ("waiting: 1.5m", PhaseRule(JobState.WAITING, JobDuration(base=Decimal(90)))),
        ("waiting: 2h", PhaseRule(JobState.WAITING, JobDuration(base=Decimal(7200)))),
        ("waiting: 1d", PhaseRule(JobState.WAITING, JobDuration(base=Decimal(86_400)))),
        ("waiting: {polls: 2}", PhaseRule(JobState.WAITING, None, polls=2)),
        ("waiting: command", PhaseRule(JobState.WAITING, None)),
        ("waiting: ~", PhaseRule(JobState.WAITING, None)),
    ],
)
def test_steps(load: Load, step: str, rule: PhaseRule) -> None:
    """A lifecycle step ends after a time, after polls or by command."""
    (found,) = load(f"jobs: [{{lifecycle: [{{{step}}}, {{failed: ~}}]}}]").jobs

    assert rule == found.phases[0]


@pytest.mark.parametrize(
    ("end", "rule"),
    [
        ("completed: ~", PhaseRule(JobState.COMPLETED, None)),
        ("failed: ~", PhaseRule(JobState.FAILED, None)),
        (
            "failed: generation_failed",
            PhaseRule(JobState.FAILED, None, failure="generation_failed"),
        ),
    ],
)
def test_ends(load: Load, end: str, rule: PhaseRule) -> None:
    """A lifecycle end has no value, or the name of its failure."""
    (found,) = load(f"{WORKS}{{{end}}}]}}]").jobs

    assert rule == found.phases[1]


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        ("{}", True),
        ("{upscale_factor: 4}", True),
        ("{upscale_factor: '4', video_url: x}", True),
        ("{upscale_factor: 2}", False),
        ("{hasty: true}", True),
        ("{hasty: false}", False),
        ("{prompt: null}", True),
        ("{prompt: x}", False),
    ],
)
def test_when_a_rule_matches_a_job(load: Load, when: str, *, matches: bool) -> None:
    """A job rule matches only if all its values match, in any spelling."""
    inputs = "facts: {inputs: {value: [video_url, prompt, hasty]}}"
    (found,) = load(f"{inputs}\njobs: [{{when: {when}, lifecycle: [{{waiting: ~}}]}}]").jobs

    assert matches is found.matches({"upscale_factor": "4", "video_url": "x", "hasty": True})


@pytest.mark.parametrize(
    ("url", "matches"),
    [("https://a/b.mp4", True), ("https://a/B.MP4", False), ("http://a/", False)],
)
def test_when_a_rule_matches_a_url(load: Load, url: str, *, matches: bool) -> None:
    """A media rule compares URLs by glob, and is case-sensitive."""
    (found,) = load('media: [{url: "https://*.mp4", unreachable: true}]').media

    assert matches is found.matches(url)


@pytest.mark.parametrize("how", ["90", "{polls: 0}", "{pols: 2}", "{polls: 2, or: 3}"])
def test_steps_without_an_end(load: Load, how: str) -> None:
    """The error for a step without an end lists time, polls and command as its possible ends."""
    with pytest.raises(ScenarioError, match=re.escape(f"lifecycle[0].waiting: {STEPS}; ")):
        load(f"jobs: [{{lifecycle: [{{waiting: {how}}}, {{failed: ~}}]}}]")
