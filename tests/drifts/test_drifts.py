"""Each drift of `drifts.yaml` at a stand-in for a live API, seen by `verify` and by `drift`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.drifts.conftest import Matrix
from tests.drifts.stand_in import stand_in
from tests.drifts.verify_and_record import CAP, drifted, findings, verified
from upsim.scenario.loader import Library
from upsim_contracts.verify.planning import plan
from upsim_contracts.verify.run import book_of, pricer
from upsim_contracts.yaml12 import read_exact

TABLE: Mapping[str, Any] = read_exact(Path(__file__).parent / "drifts.yaml")
DRIFTS: Sequence[Mapping[str, Any]] = TABLE["drifts"]
TOOLS = ("verify", "drift")
OUTCOMES = ("one", "several", "misnamed", "hidden")
LIBRARY = Library()
DIALECTS = [
    pytest.param(provider, dialect, marks=pytest.mark.nightly if place else ())
    for provider in LIBRARY.providers()
    for place, dialect in enumerate(LIBRARY.baseline(provider).baseline.dialects)
]
"""The default dialect of each provider, and at night the others."""


def each(drifts: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return the drifts as parameters; all but the short ones wait for the night."""
    return [
        pytest.param(
            one,
            id=f"{one['provider']}: {one['name']}",
            marks=() if one.get("short") else pytest.mark.nightly,
        )
        for one in drifts
    ]


def with_tools(drifts: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return each drift with each tool that is tried at it, as parameters."""
    return [
        pytest.param(*one.values, tool, id=f"{one.id}, {tool}", marks=one.marks)
        for one in each(drifts)
        for tool in TOOLS
        if one.values[0].get("only", tool) == tool
    ]


def lines(tool: str, drift: Mapping[str, Any], folder: Path) -> list[str]:
    """Return what a tool reports of a drift, a line for each thing."""
    with altered(drift) as made:
        if tool == "verify":
            return findings(verified(made))
        return drifted(made, folder)


def altered(drift: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a context manager
    """Return the stand-in with this drift."""
    scenario, webhooks = drift.get("scenario"), drift.get("webhooks")
    alterations = drift.get("alter", ())
    return stand_in(drift["provider"], alterations, scenario=scenario, webhooks=webhooks)


def outcome(found: Sequence[str], words: Sequence[str]) -> str:
    """Return how a drift was reported: in one line that names it, or how far from that."""
    if not found:
        return "hidden"
    if len(found) > 1:
        return "several"
    named = all(word.lower() in found[0].lower() for word in words)
    return "one" if named else "misnamed"


def expected(tool: str, drift: Mapping[str, Any]) -> str:
    """Return how a tool should report a drift, or how it does today."""
    due = "one" if tool in drift["who"] else "hidden"
    return str(drift.get("today", {}).get(tool, due))


@pytest.mark.parametrize(("drift", "tool"), with_tools(DRIFTS))
def test_drift_is_one_line(
    drift: Mapping[str, Any], tool: str, tmp_path: Path, matrix: Matrix
) -> None:
    """One alteration gives one report line with its cause, unless its mark expects otherwise."""
    found = lines(tool, drift, tmp_path)
    words = drift.get("words", ())
    seen = outcome(found, words[tool] if isinstance(words, Mapping) else words)
    matrix.add(drift["provider"], drift["name"], tool, seen)

    assert expected(tool, drift) == seen, "\n".join(found)


@pytest.mark.parametrize(("provider", "dialect"), DIALECTS)
def test_unaltered_recording_shows_no_difference(
    provider: str, dialect: str, tmp_path: Path
) -> None:
    """The recording of an unaltered stand-in server shows no difference, in any dialect."""
    with stand_in(provider, dialect=dialect) as made:
        assert drifted(made, tmp_path) == []


@pytest.mark.parametrize("drift", each([one for one in DRIFTS if one.get("money")]))
def test_run_stays_under_its_cap(drift: Mapping[str, Any]) -> None:
    """A run whose cap is the documented highest cost stays under it, whatever is charged."""
    provider = drift["provider"]
    book = book_of(provider)
    with altered(drift) as made:
        cap = plan(book, book.facts, made.target(CAP), pricer(provider)).worst
        verified(made, cap=cap)

        assert Decimal(0) < made.spent() <= cap


def test_every_mark_has_a_reason() -> None:
    """Each mark names a tool that can detect the drift, an outcome, and the reason for it."""
    for drift in DRIFTS:
        for tool, seen in drift.get("today", {}).items():
            assert tool in TOOLS
            assert seen in OUTCOMES
            assert seen != ("one" if tool in drift["who"] else "hidden"), drift["name"]
            assert f"{tool} {seen}" in {**TABLE["why"], **drift.get("why", {})}, drift["name"]
    names = [(one["provider"], one["name"]) for one in DRIFTS]
    assert len(set(names)) == len(names)
    assert len([one for one in DRIFTS if one["who"]]) >= 40
