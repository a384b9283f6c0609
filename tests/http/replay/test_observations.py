"""The script that compares what two revisions say about random histories sees what it must see."""

from __future__ import annotations

import json

import pytest

from tests.exports.observations import observed
from upsim.engine import report_card

SEED = 45
"""A history in which a client makes every mistake."""
STEPS = 80


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """Return the lines of the history."""
    return list(observed(SEED, STEPS))


def test_a_history_has_every_finding_and_the_same_lines_again(lines: list[str]) -> None:
    """Equal code gives equal lines, and the client of a history makes every kind of mistake."""
    found = [json.loads(line) for line in lines]
    names = {line["found"]["name"] for line in found if ": findings " in line["reader"]}

    assert names == report_card.SEVERITIES.keys()
    assert len({line["found"]["status"] for line in found if line["reader"] == "journal"}) > 3
    assert list(observed(SEED, STEPS)) == lines


def test_a_changed_reader_gives_other_lines(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the report card allows one poll more after the end of a job, some lines differ."""
    monkeypatch.setattr(report_card, "LATE", report_card.LATE + 1)
    changed = {json.loads(line)["reader"] for line in {*lines} ^ {*observed(SEED, STEPS)}}

    assert changed
    assert all(reader.startswith("report card") for reader in changed)
