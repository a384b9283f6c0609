"""All mistakes of a file in one round: what is broken hides nothing of what is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from upsim.providers import discover
from upsim.scenario.job_rules import STATES
from upsim.scenario.loader import Library
from upsim.scenario.yaml_tree import Mark, Place, Tree, Value

LIBRARY = Library()
STRANGE: tuple[Value, ...] = (None, 5, "${", True, [], [5], {}, {"x": {"y": [1]}}, "-1")
MINE = """
failures: {mine: {message: 5, status: 400}}
jobs: [{lifecycle: [{waiting: 1s}, {failed: mine}]}]
"""
TEMPO = """
models: {topaz-video-upscale: {options: {tempo: {default: a, allowed: 5}}}}
jobs: [{when: {tempo: a}, lifecycle: [{waiting: command}]}]
"""
EIGHT = """
models:
  topaz-video-upscale:
    billing: {rate: {table: {"8": cheap}}}
    options: {upscale_factor: {allowed: ["1", "2", "4", "8"], default: "3"}}
"""
PROW = """
plans:
  prow: {access: 5, rates: [{limit: -1, per: day, counts: al}, {limit: 5, per: day}], zz: 1}
"""
REPEATED = """
knobs: {funds_txt: a}
faults: [{at: pol, do: corrupt}]
plans: {mine: {access: true}}
changes:
  - {after: 1m, set: {knobs: {funds_txt: a}, faults: [{at: pol, do: corrupt}]}}
  - {after: 2m, set: {plans: {mine: {access: true}, free: {access: true}}}}
"""
STRIDE = 53
"""Of all places every so-manieth is broken."""


def places(tmp_path: Path, text: str, provider: str = "vicsee") -> list[str]:
    """Return the places of all mistakes of a file that changes a baseline."""
    path = tmp_path / "a.yaml"
    path.write_text(f"extends: {provider}/baseline\n{text}\n", "utf-8")
    return [m.place for m in LIBRARY.mistakes_in(LIBRARY.resolve(path), discover())]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "knobs: {funds_txt: amounts, first_status: 3}",
            ["knobs.funds_txt", "knobs.first_status"],
        ),
        ("changes: [{after: 10, set: {seed: 1}}]", ["changes[0].after", "changes[0].set.seed"]),
        (
            "changes: [{at: 5}, {after: 1m, at: 2026-01-01, set: {seed: 1, refund: {after: x}}}]",
            [
                "changes[0]",
                "changes[0].at",
                "changes[1]",
                "changes[1].set.seed",
                "changes[1].set.refund.after",
            ],
        ),
        (
            "account: {plan: mine}\nchanges: [{after: 1m, set: {plans: {new: 5}}}]",
            ["account.plan", "changes[0].set.plans.new"],
        ),
        (
            "jobs: [{wen: {}, lifecycle: [{waiting: 5}, {wating: 5s}, {failed: brokn}]}, 5]",
            [
                "jobs[0].wen",
                "jobs[0].lifecycle[0].waiting",
                "jobs[0].lifecycle[1].wating",
                "jobs[0].lifecycle[2].failed",
                "jobs[1]",
            ],
        ),
        (
            "jobs: [{when: {upscale_factor: [4], factor: 4}}]",
            ["jobs[0]", "jobs[0].when.upscale_factor", "jobs[0].when.factor"],
        ),
        ("jobs: [{when: 5, lifecycle: []}]", ["jobs[0].when", "jobs[0].lifecycle"]),
        (
            "media: [{url: x, duration: x, file: y}, {url: x, fles: y}]",
            ["media[0]", "media[0].duration", "media[1].url", "media[1].fles"],
        ),
        (
            "accounts: {vicsee: {balance: much, plan: por}}",
            ["accounts.vicsee.balance", "accounts.vicsee.plan"],
        ),
        (
            "plans: {pro: {rates: [{limit: -1, per: day, counts: al}], concurrency: x}}",
            ["plans.pro.rates[0].limit", "plans.pro.rates[0].counts", "plans.pro.concurrency"],
        ),
        (
            "checks: {credits: [has_ky, 5], upload: 5}",
            ["checks.credits[0]", "checks.credits[1]", "checks.upload"],
        ),
        ("plans: {mine: 5}\naccount: {plan: mine}", ["plans.mine"]),
        (
            MINE,
            ["failures.mine", "failures.mine.message", "failures.mine.status"],
        ),
        (
            PROW,
            [
                "plans.prow",
                "plans.prow.access",
                "plans.prow.rates[0].limit",
                "plans.prow.rates[0].counts",
                "plans.prow.rates[1]",
                "plans.prow.zz",
            ],
        ),
        (
            "models: {new: {name: 5, output: {}}}\nfalts: []",
            ["models.new", "models.new.name", "falts"],
        ),
        (
            REPEATED,
            [
                "knobs.funds_txt",
                "faults[0].at",
                "plans.mine",
                "changes[0].set.knobs.funds_txt",
                "changes[0].set.faults[0].at",
            ],
        ),
        (
            TEMPO,
            [
                "models.topaz-video-upscale.options.tempo",
                "models.topaz-video-upscale.options.tempo.allowed",
            ],
        ),
        (
            EIGHT,
            ["models.topaz-video-upscale.billing.rate.table.8"],
        ),
        (
            "refund: {aftr: 1, states: [broken]}\nlimits: {max_seconds: {value: x}, max: 5}",
            ["refund.aftr", "refund.states[0]", "limits.max_seconds.value", "limits.max"],
        ),
    ],
)
def test_every_mistake_is_reported_once(tmp_path: Path, text: str, expected: list[str]) -> None:
    """Each wrong item and key of a scenario is reported exactly once, whatever else is wrong."""
    assert expected == places(tmp_path, text)


@pytest.mark.parametrize("provider", LIBRARY.providers())
def test_misspelt_entries_cause_no_further_mistakes(provider: str) -> None:
    """A correct entry under a misspelt name is reported as one mistake only."""
    whole = dict(LIBRARY.tree_of(provider) or {})
    expected = set()
    for section in ("plans", "models", "errors", "failures"):
        entries = whole[section]
        assert isinstance(entries, dict)
        wrong = {
            f"{name}x": {key: item for key, item in entry.items() if key != "evidence"}
            for name, entry in entries.items()
            if isinstance(entry, dict)
        }
        whole[section] = {**entries, **wrong}
        expected |= {f"{section}.{name}" for name in wrong}

    marks = dict.fromkeys(everywhere(whole), Mark("a.yaml", 1, 1))
    found = LIBRARY.mistakes_in(Tree(whole, marks), discover())
    assert expected == {mistake.place for mistake in found}


def everywhere(value: Value, above: Place = ()) -> Iterator[Place]:
    """Yield every place of a tree that is not deeper than five."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)  # type: ignore[arg-type]
    for key, item in parts:
        yield (*above, key)
        if isinstance(item, dict | list) and len(above) < 4:
            yield from everywhere(item, (*above, key))


def replaced(value: Value, place: Place, by: Value) -> Value:
    """Return the value with something else at a place."""
    if not place:
        return by
    if isinstance(value, list):
        return [replaced(v, place[1:], by) if i == place[0] else v for i, v in enumerate(value)]
    assert isinstance(value, dict)
    return {k: replaced(v, place[1:], by) if k == place[0] else v for k, v in value.items()}


@pytest.mark.parametrize("provider", LIBRARY.providers())
def test_a_broken_part_hides_no_other_mistake(provider: str) -> None:
    """Whatever is broken in one part of a baseline, misspelt names in other parts are found."""
    whole = dict(LIBRARY.tree_of(provider) or {})
    whole |= {
        "jobs": [{"lifecycle": [{"wating": "1s"}]}],
        "faults": [{"at": "pol", "do": "corrupt"}],
        "media": [{"url": "x"}],
    }
    expected = {"jobs[0].lifecycle[0].wating", "faults[0].at", "media[0]"}
    kept = set(whole) - {"jobs", "faults", "media", "provider"}
    candidates = [place for place in everywhere(whole) if place[0] in kept]
    for i, place in enumerate(candidates[::STRIDE]):
        value = replaced(whole, place, STRANGE[i % len(STRANGE)])
        found = LIBRARY.mistakes_in(Tree(value, {}), discover())

        assert expected <= {mistake.place for mistake in found}, place


def test_the_states_of_a_lifecycle() -> None:
    """A lifecycle accepts every state except `deleted`, which only clients can cause."""
    assert STATES == ("waiting", "processing", "completed", "failed", "cancelled", "timeout")
