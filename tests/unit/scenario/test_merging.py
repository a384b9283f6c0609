"""A file laid over what it extends, and what its evidence is then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from upsim.core.evidence import Evidence
from upsim.scenario.loader import MAX_LEVELS, Library, ScenarioError
from upsim.scenario.model import Scenario

ASSUMED = Evidence("assumed", "changed by a scenario", "")
LIBRARY = Library()
BASE = LIBRARY.baseline("vicsee").baseline
Load = Callable[..., Scenario]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that writes files and loads the first of them."""

    def write(**files: str) -> Scenario:
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text, "utf-8")
        return Library().load(str(tmp_path / f"{next(iter(files))}.yaml"))

    return write


def changed(load: Load, text: str) -> Scenario:
    """Return the scenario that changes this in VicSee's baseline."""
    return load(a=f"extends: vicsee/baseline\n{text}\n")


def test_a_changed_value_is_assumed(load: Load) -> None:
    """A value that a scenario changes is marked as assumed, not as documented."""
    found = changed(load, "limits: {max_seconds: {value: '30'}}").baseline

    assert ASSUMED == found.limits["max_seconds"].evidence
    assert BASE.limits["formats"].evidence == found.limits["formats"].evidence


def test_own_evidence_of_a_scenario(load: Load) -> None:
    """If a scenario gives evidence for a value, it replaces the old evidence completely."""
    why = "evidence: {grade: observed, source: a recording}"
    found = changed(load, f"limits: {{max_seconds: {{value: '30', {why}}}}}").baseline

    assert Evidence("observed", "a recording", "") == found.limits["max_seconds"].evidence


def test_the_nearest_evidence_applies(load: Load) -> None:
    """A changed price inside a model makes only the price assumed, not the model."""
    rate = 'rate: {table: {"2": "17"}}'
    found = changed(load, f"models: {{topaz-video-upscale: {{billing: {{{rate}}}}}}}").baseline
    model = found.models["topaz-video-upscale"]

    assert ASSUMED == model.billing.evidence
    assert BASE.models[model.id].evidence == model.evidence
    assert BASE.models[model.id].lifecycle == model.lifecycle


def test_the_same_value_again_changes_nothing(load: Load) -> None:
    """A scenario that repeats a baseline value keeps the evidence of the baseline."""
    found = changed(load, "limits: {max_seconds: {value: '60'}}").baseline

    assert BASE.limits["max_seconds"] == found.limits["max_seconds"]


def test_a_report_belongs_to_its_file(load: Load) -> None:
    """The evidence of a scenario file does not apply to a scenario that extends it."""
    report = "evidence: {grade: observed, source: a forum, date: 2026-11-01}"
    files = {"a": "extends: b.yaml\n", "b": f"extends: vicsee/baseline\n{report}\n"}

    assert load(**files).evidence is None
    assert Evidence("observed", "a forum", "2026-11-01") == load(b=files["b"]).evidence


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("account: {opening: '5'}", lambda b: str(b.opening) == "5"),
        ("refund: {after: '60', states: [failed]}", lambda b: str(b.refund.after) == "60"),
        ("retention: {outputs: {value: '9'}}", lambda b: b.retention["outputs"].value == "9"),
        ("statuses: {failed: {value: broken}}", lambda b: b.statuses["failed"].value == "broken"),
        ("errors: {too_long: {status: 400}}", lambda b: b.errors["too_long"].status == 400),
        ("checks: {models: [has_key]}", lambda b: b.checks["models"] == ("has_key",)),
        ("plans: {pro: {concurrency: 2}}", lambda b: b.plans["pro"].concurrency == 2),
        ("title: Mine", lambda b: b.title == "Mine"),
    ],
)
def test_any_value_can_be_overridden(load: Load, text: str, read: Callable[[object], bool]) -> None:
    """A scenario can change every fact of a baseline."""
    assert read(changed(load, text).baseline)


def test_many_levels(load: Load) -> None:
    """Scenario files can extend each other over several levels, up to a limit."""
    chain = {f"f{n}": f"extends: f{n + 1}.yaml\n" for n in range(MAX_LEVELS - 1)}
    last = {f"f{MAX_LEVELS - 1}": "extends: vicsee/baseline\nseed: 5\n"}

    assert 5 == load(**chain, **last).seed
    with pytest.raises(ScenarioError, match=f"more than {MAX_LEVELS} levels of files"):
        load(z="extends: f0.yaml\n")
