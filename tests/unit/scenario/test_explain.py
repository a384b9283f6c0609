"""A resolved scenario with the origin of every value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from upsim.scenario.explain import as_json, as_text, explain, scalar
from upsim.scenario.listing import listing
from upsim.scenario.loader import Library, ScenarioError, UnknownScenarioError
from upsim.scenario.yaml_tree import parse_tree

LIBRARY = Library()
NAMES = (
    "piapi/moderation-late",
    "venice/older-guide",
    "vicsee/one-at-a-time",
    "wavespeed/too-long",
)


def values(name: str) -> dict[str, dict[str, Any]]:
    """Return the explained values of a scenario by path."""
    shown: Any = as_json(explain(LIBRARY, name))
    return {value["path"]: value for value in shown["values"]}


def test_origin_of_a_baseline_value() -> None:
    """`explain` shows the line of a baseline value, with the evidence for it."""
    shown = values("vicsee/insufficient-funds")["limits.max_seconds.value"]
    lines = LIBRARY.path_of("vicsee/baseline").read_text("utf-8").splitlines()
    file, _, line = shown["from"].partition(":")

    assert ("vicsee/baseline.yaml", "60") == (file, shown["value"])
    assert "max_seconds" in lines[int(line) - 1]
    assert "documented" == shown["evidence"]["grade"]
    assert "2026-02-14" == shown["evidence"]["date"]


def test_origin_of_a_scenario_value() -> None:
    """`explain` shows the line of a scenario's own value in the scenario file."""
    shown = values("vicsee/insufficient-funds")["accounts.vicsee.balance"]

    assert ("15", "vicsee/insufficient-funds.yaml:4", None) == (
        shown["value"],
        shown["from"],
        shown["evidence"],
    )


def test_a_changed_value_is_shown_as_assumed() -> None:
    """`explain` shows a fact that the scenario changes as assumed."""
    shown = values("vicsee/link-expires-in-a-day")["retention.outputs.value"]

    assert ("86400", "assumed") == (shown["value"], shown["evidence"]["grade"])


def test_the_head() -> None:
    """`explain` starts with provider, summary, report and files, the scenario's own file first."""
    shown: Any = as_json(explain(LIBRARY, "wavespeed/refund-after-three-hours"))
    own, *others = shown["files"]

    assert ("wavespeed/refund-after-three-hours", "wavespeed") == (shown["name"], shown["provider"])
    assert "wavespeed/refund-after-three-hours.yaml" == own
    assert {"_common/fails-and-refunds.yaml", "wavespeed/baseline.yaml"} == set(others)
    assert "https://wavespeed.ai/docs/troubleshooting-guide" == shown["evidence"]["source"]


@pytest.mark.parametrize("name", [*NAMES, *(f"{p}/baseline" for p in LIBRARY.providers())])
def test_the_text_is_the_resolved_file(name: str) -> None:
    """The output of `explain` can be read back as the same scenario."""
    explained = explain(LIBRARY, name)
    tree = parse_tree(as_text(explained), "f.yaml")

    assert ([], explained.tree.value) == (tree.mistakes, tree.value)


def test_each_printed_value_has_its_place() -> None:
    """`explain` prints file and line behind each value."""
    lines = as_text(explain(LIBRARY, "vicsee/plan-pro")).splitlines()[1:]

    assert [] == [
        line for line in lines if not line.endswith((":", "-")) and "  # vicsee/" not in line
    ]


@pytest.mark.parametrize(
    "value",
    ["", "5", "true", "null", "a: b", "# x", "x #y", " x", "é", "${A}", "on", "~", "- a", "a\nb"],
)
def test_texts_are_quoted_if_needed(value: str) -> None:
    """Every text that `explain` prints is read back as the same text."""
    assert {"key": value} == parse_tree(f"key: {scalar(value)}\n", "f").value


def test_a_user_file(tmp_path: Path) -> None:
    """`explain` accepts the path of a user's scenario file."""
    path = tmp_path / "mine.yaml"
    path.write_text("extends: vicsee/plan-pro\nseed: 5\n", "utf-8")
    found = as_json(explain(LIBRARY, str(path)))

    assert str(path) in found["files"]  # type: ignore[operator]  # a list


def test_files_that_cannot_be_explained(tmp_path: Path) -> None:
    """`explain` lists the mistakes of an invalid file, and suggests names for an unknown one."""
    path = tmp_path / "mine.yaml"
    path.write_text("extends: vicsee/plan-pro\nseed: x\n", "utf-8")

    with pytest.raises(ScenarioError):
        explain(LIBRARY, str(path))
    with pytest.raises(UnknownScenarioError):
        explain(LIBRARY, "vicsee/plan-por")


def test_the_list() -> None:
    """Every scenario is listed once, with its provider and a summary."""
    found = listing(LIBRARY)

    assert list(LIBRARY.names()) == [item.name for item in found]
    assert all(item.summary and item.provider in LIBRARY.providers() for item in found)
