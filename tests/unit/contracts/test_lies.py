"""Small lies about documented values: how they are made, told and counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from upsim_contracts.exceptions import ContractFileError, NoContractError
from upsim_contracts.mutants.lies import Equivalent, Lie, Lies, lies_about
from upsim_contracts.mutants.noticing import Court, Judged, count
from upsim_contracts.verify import book_of

BASELINE = """\
provider: vicsee
limits:
  open: {value: false, evidence: {grade: documented, source: page}}
  most: {value: 3, evidence: {grade: documented, source: page}}
  length: {value: "60", evidence: {grade: documented, source: page}}
  rate: {value: "0.013", evidence: {grade: documented, source: page}}
  word: {value: done, evidence: {grade: documented, source: page}}
  lifetime: {value: null, evidence: {grade: documented, source: page}}
  guess: {value: 7, evidence: {grade: assumed, source: page}}
  elsewhere: {value: 7, evidence: {grade: documented, source: another}}
rows:
  list: [mp4, mov]
  tiers: [{name: low, rate: "1.5"}, {name: high, evidence: {}}]
  evidence: {grade: documented, source: page}
  variants: [{when: never}]
sources: {page: {title: A page}}
"""
LISTED = """\
pages: [page]
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
    return Lie("vicsee", tuple(place.split(".")), said, place, "the truth", said)


def test_each_kind_of_value(files: tuple[Path, Path]) -> None:
    """Each documented value of the pages is changed in every small way, and no other value is."""
    found = lies_about("vicsee", baseline=files[0], listed=files[1])

    assert [(one.place, one.said) for one in found.planted] == [
        ("limits.open.value", True),
        ("limits.most.value", 4),
        ("limits.most.value", 2),
        ("limits.length.value", "61"),
        ("limits.length.value", "59"),
        ("limits.length.value", "60.01"),
        ("limits.length.value", "59.99"),
        ("limits.rate.value", "0.014"),
        ("limits.rate.value", "0.012"),
        ("limits.word.value", "donex"),
        ("limits.lifetime.value", "86400"),
        ("rows.list.0", "nothing"),
        ("rows.list.1", "nothing"),
        ("rows.tiers.0", "nothing"),
        ("rows.tiers.0.name", "lowx"),
        ("rows.tiers.0.rate", "1.6"),
        ("rows.tiers.0.rate", "1.4"),
        ("rows.tiers.1", "nothing"),
        ("rows.tiers.1.name", "highx"),
        ("rows.tiers.1", "the row before"),
        ("limits.most.value", 30),
    ]


def test_the_scenario_of_a_lie(files: tuple[Path, Path]) -> None:
    """A lie about a row is told with the whole list, as an overlay of the baseline."""
    found = lies_about("vicsee", baseline=files[0], listed=files[1])
    told = [json.loads(one.scenario()) for one in found.planted if one.place.startswith("rows")]

    assert told[0] == {
        "extends": "vicsee/baseline",
        "summary": 'vicsee rows.list.0: "mp4" → "nothing"',
        "rows": {"list": ["mov"]},
    }
    assert told[-1]["rows"]["tiers"][0]["name"] == "high"


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
    """An entry that speaks of nothing, or is not well formed, is refused."""
    files[1].write_text(LISTED.replace(old, new), encoding="utf-8")

    with pytest.raises(ContractFileError, match=said):
        lies_about("vicsee", baseline=files[0], listed=files[1])


def test_nobody() -> None:
    """A provider without a contract is named, with the nearest one."""
    with pytest.raises(NoContractError, match="did you mean 'vicsee'"):
        lies_about("vicsea")


def test_a_baseline_that_is_not_there(tmp_path: Path) -> None:
    """A baseline that cannot be read is refused with its place."""
    with pytest.raises(ContractFileError, match=r"none\.yaml"):
        lies_about("vicsee", baseline=tmp_path / "none.yaml")


def test_counting() -> None:
    """Missed lies that are not listed, listed ones that are noticed or gone, and errors count."""
    listed = (
        Equivalent("a.*", "A reason."),
        Equivalent("b", "A reason.", said="1"),
        Equivalent("gone", "A reason."),
    )
    judged = [
        Judged(lie("a.x", 1), "missed"),
        Judged(lie("b", "1"), "noticed", "a-fact", "a difference"),
        Judged(lie("b", "2"), "missed"),
        Judged(lie("c", 1), "noticed", "a-fact", "a difference"),
        Judged(lie("d", 1), "error", saw="it fell over"),
        Judged(lie("gone", 1), "invalid", saw="refused"),
    ]

    counted = count(judged, Lies(tuple(one.lie for one in judged), listed))

    assert counted.problems == (
        'listed as equivalent, but noticed by a-fact: vicsee b: "the truth" → "1": a difference',
        'missed: vicsee b: "the truth" → "2"',
        'error: vicsee d: "the truth" → 1: it fell over',
        "listed as equivalent, but there is no such lie: gone",
    )
    assert str(counted) == "2 of 4 lies noticed, 1 equivalent, 1 that no simulator can be told"


def test_facts_about_the_lie_come_first() -> None:
    """Facts that share rare words with a lie are asked before the others."""
    court = Court(book_of("vicsee"))
    about = lie("errors.too_long.message", "Video exceeds 60-second limitx")

    first = [fact.id for fact in court.order(about)[:3]]

    assert any("long" in name for name in first)
    assert {fact.id for fact in court.order(about)} == {fact.id for fact in court.facts}
    assert all(fact.given.scenario is None for fact in court.facts)
