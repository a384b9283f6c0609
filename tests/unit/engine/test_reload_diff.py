"""The places where two resolved scenarios differ."""

from __future__ import annotations

import pytest

from upsim.engine.reload_diff import RESET, RESTART, ScenarioDiff, differences
from upsim.scenario.yaml_tree import dotted


@pytest.mark.parametrize(
    ("before", "after", "places"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a"]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["a.c"]),
        ({"a": 1}, {"b": 1}, ["a", "b"]),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, ["a[1].b"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a"]),
        ({"a": {"b": 1}}, {"a": "text"}, ["a"]),
        ({"a": {"v": 1, "evidence": "x"}}, {"a": {"v": 2, "evidence": "y"}}, ["a.v"]),
        ({"a": {"v": 1, "evidence": "x"}}, {"a": {"v": 1, "evidence": "y"}}, ["a.evidence"]),
    ],
)
def test_changed_places(before: object, after: object, places: list[str]) -> None:
    """Each changed key is listed once; a change of evidence only if nothing else changed."""
    assert places == [dotted(place) for place in differences(before, after)]


def test_keys_that_wait() -> None:
    """A reload lists the sections that wait for a reset, and those that wait for a restart."""
    edit = ScenarioDiff(
        "mine.yaml", {"vicsee": ("faults[0].at", "seed", "clock", "hosts[0].value")}
    )

    assert (("clock", "seed"), ("hosts",)) == (edit.waiting(RESET), edit.waiting(RESTART))
