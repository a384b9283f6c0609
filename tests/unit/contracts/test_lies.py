"""Small lies about documented values: how they are made, told and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from upsim_contracts.exceptions import ContractFileError, NoContractError
from upsim_contracts.mutants.lie_checker import LieChecker, LieResult, count
from upsim_contracts.mutants.lies import Equivalent, Lie, Lies, lies_about
from upsim_contracts.verify.run import book_of

BASELINE = """\
provider: vicsee
limits:
  open: {value: false, evidence: {grade: documented, source: page}}
  most: {value: 3, evidence: {grade: documented, source: page}}
  one: {value: 1, evidence: {grade: assumed, source: "a reason"}}
  length: {value: "60"}
  price: {value: "0.013"}
  word: {value: done}
  lifetime: {value: null}
rows:
  list: [mp4, mov]
  none: []
  tiers: [{name: low, rate: "1.5"}, {when: {knob: high}, evidence: {grade: assumed}}]
knobs:
  form: {summary: A form., values: [old, new], guide: old}
"""
LISTED = """\
also: [{path: [limits, most, value], said: 30}]
equivalent: [{place: limits.*.value, because: A reason.}]
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Return a baseline and what is listed beside it."""
    baseline, listed = tmp_path / "baseline.yaml", tmp_path / "lies.yaml"
    baseline.write_text(BASELINE, encoding="utf-8")
    listed.write_text(LISTED, encoding="utf-8")
    return baseline, listed


def lie(place: str, said: object) -> Lie:
    """Return a lie about a value of VicSee."""
    return Lie("vicsee", tuple(place.split(".")), said, place, "the truth", said, "number")


def test_alterations_fit_each_type(files: tuple[Path, Path]) -> None:
    """Every baseline value and key is altered in each way that fits its type."""
    found = lies_about("vicsee", baseline=files[0], listed=files[1])

    assert [(one.kind, one.place, one.said) for one in found.planted] == [
        ("key", "limits.open", "openx"),
        ("flag", "limits.open.value", True),
        ("key", "limits.most", "mostx"),
        ("number", "limits.most.value", 4),
        ("number", "limits.most.value", 2),
        ("number", "limits.most.value", 6),
        ("key", "limits.one", "onex"),
        ("number", "limits.one.value", 2),
        ("number", "limits.one.value", 0),
        ("key", "limits.length", "lengthx"),
        ("number", "limits.length.value", "61"),
        ("number", "limits.length.value", "59"),
        ("number", "limits.length.value", "60.01"),
        ("number", "limits.length.value", "59.99"),
        ("number", "limits.length.value", "120"),
        ("key", "limits.price", "pricex"),
        ("number", "limits.price.value", "0.014"),
        ("number", "limits.price.value", "0.012"),
        ("number", "limits.price.value", "0.026"),
        ("key", "limits.word", "wordx"),
        ("text", "limits.word.value", "donex"),
        ("key", "limits.lifetime", "lifetimex"),
        ("null", "limits.lifetime.value", "86400"),
        ("key", "rows.list", "listx"),
        ("item", "rows.list.0", "nothing"),
        ("item", "rows.list.1", "nothing"),
        ("added", "rows.list", ["mp4", "mov", "mp4x"]),
        ("key", "rows.none", "nonex"),
        ("added", "rows.none", ["x"]),
        ("key", "rows.tiers", "tiersx"),
        ("item", "rows.tiers.0", "nothing"),
        ("text", "rows.tiers.0.name", "lowx"),
        ("number", "rows.tiers.0.rate", "1.6"),
        ("number", "rows.tiers.0.rate", "1.4"),
        ("number", "rows.tiers.0.rate", "3.0"),
        ("item", "rows.tiers.1", "nothing"),
        ("text", "rows.tiers.1.when.knob", "highx"),
        ("order", "rows.tiers.1", "the row before"),
        ("key", "knobs.form", "formx"),
        ("text", "knobs.form.summary", "A form.x"),
        ("item", "knobs.form.values.0", "nothing"),
        ("item", "knobs.form.values.1", "nothing"),
        ("added", "knobs.form.values", ["old", "new", "oldx"]),
        ("choice", "knobs.form.guide", "new"),
        ("added by hand", "limits.most.value", 30),
    ]


def test_a_scenario_contains_several_lies(files: tuple[Path, Path]) -> None:
    """Altered values are written over the baseline; a renamed key needs a whole new baseline."""
    found = lies_about("vicsee", baseline=files[0], listed=files[1])

    def scenario(*names: tuple[str, object]) -> dict[str, Any]:
        told = [one for one in found.planted if (one.place, one.said) in names]
        result: dict[str, Any] = json.loads(found.scenario(told))
        return result

    assert scenario(("rows.list.0", "nothing"), ("limits.word.value", "donex")) == {
        "extends": "vicsee/baseline",
        "summary": 'vicsee limits.word.value: "done" → "donex"; '
        'vicsee rows.list.0: "mp4" → "nothing"',
        "limits": {"word": {"value": "donex"}},
        "rows": {"list": ["mov"]},
    }
    whole = scenario(("rows.list", "listx"), ("limits.word.value", "donex"))
    assert (whole["provider"], "extends" in whole) == ("vicsee", False)
    assert (whole["rows"]["listx"], "list" in whole["rows"]) == (["mp4", "mov"], False)
    assert (whole["limits"]["word"], whole["limits"]["most"]["value"]) == ({"value": "donex"}, 3)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "[limits, most, value], said: 30",
            "[limits, none, value], said: 30",
            "there is no limits.none",
        ),
        ("said: 30", "said: 3", "limits.most.value is 3 already"),
        ("because", "reason", "unexpected keyword argument 'reason'"),
    ],
)
def test_malformed_lists(files: tuple[Path, Path], old: str, new: str, said: str) -> None:
    """An entry of the list that fits no alteration or is malformed is refused."""
    files[1].write_text(LISTED.replace(old, new), encoding="utf-8")

    with pytest.raises(ContractFileError, match=said):
        lies_about("vicsee", baseline=files[0], listed=files[1])


def test_unknown_provider() -> None:
    """The error for a provider without a contract suggests the nearest provider."""
    with pytest.raises(NoContractError, match="did you mean vicsee"):
        lies_about("vicsea")


def test_a_missing_baseline(tmp_path: Path) -> None:
    """The error for an unreadable baseline names its path."""
    with pytest.raises(ContractFileError, match=r"none\.yaml"):
        lies_about("vicsee", baseline=tmp_path / "none.yaml")


def test_counting_failures() -> None:
    """A run fails for unlisted missed lies, for outdated list entries and for errors."""
    listed = (
        Equivalent("a.*", "A reason."),
        Equivalent("b", "A reason.", said="1"),
        Equivalent("gone", "A reason."),
    )
    judged = [
        LieResult(lie("a.x", 1), "missed"),
        LieResult(lie("b", "1"), "noticed", "a-fact", "a difference"),
        LieResult(lie("b", "2"), "missed"),
        LieResult(lie("c", 1), "noticed", "a-fact", "a difference"),
        LieResult(lie("d", 1), "error", saw="it fell over"),
        LieResult(lie("gone", 1), "invalid", saw="refused"),
    ]

    counted = count(judged, Lies(tuple(one.lie for one in judged), listed, {}))

    assert counted.problems == (
        'listed as equivalent, but noticed by a-fact: vicsee b: "the truth" → "1": a difference',
        'missed: vicsee b: "the truth" → "2"',
        'error: vicsee d: "the truth" → 1: it fell over',
        "listed, but there is no such lie: gone",
    )
    assert str(counted).splitlines() == [
        "2 of 4 lies noticed, 1 equivalent, 1 that no simulator accepts",
        "  number: 2 of 4 lies noticed, 1 equivalent",
    ]


def test_facts_about_the_lie_come_first() -> None:
    """Facts that share rare words with a lie are checked before the other facts."""
    checker = LieChecker(book_of("vicsee"), Lies((), (), {}))
    about = lie("errors.too_long.message", "Video exceeds 60-second limitx")

    first = [fact.id for fact in checker.order([about])[:3]]

    assert any("long" in name for name in first)
    assert {fact.id for fact in checker.order([about])} == {fact.id for fact in checker.facts}
    assert all(fact.given.scenario is None for fact in checker.facts)


def test_the_list_of_unnoticed_lies_does_not_grow() -> None:
    """The facts find all PiAPI lies except the webhook time-outs, which need real seconds."""
    assert [one.place for one in lies_about("piapi").unnoticed] == ["webhooks.timeout.*"]
