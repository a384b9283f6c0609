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


def test_where_a_value_comes_from() -> None:
    """A value of the baseline has its line there and the evidence around it."""
    shown = values("vicsee/insufficient-funds")["limits.max_seconds.value"]
    lines = LIBRARY.path_of("vicsee/baseline").read_text("utf-8").splitlines()
    file, _, line = shown["from"].partition(":")

    assert ("vicsee/baseline.yaml", "60") == (file, shown["value"])
    assert "max_seconds" in lines[int(line) - 1]
    assert "documented" == shown["evidence"]["grade"]
    assert "2026-02-14" == shown["evidence"]["date"]


def test_what_the_scenario_says_itself() -> None:
    """A value of the scenario has its line in the scenario's own file."""
    shown = values("vicsee/insufficient-funds")["accounts.vicsee.balance"]

    assert ("15", "vicsee/insufficient-funds.yaml:4", None) == (
        shown["value"],
        shown["from"],
        shown["evidence"],
    )


def test_what_a_scenario_changed() -> None:
    """A changed fact is told as assumed."""
    shown = values("vicsee/link-expires-in-a-day")["retention.outputs.value"]

    assert ("86400", "assumed") == (shown["value"], shown["evidence"]["grade"])


def test_the_head() -> None:
    """The explanation names provider, summary, report and the files, its own first."""
    shown: Any = as_json(explain(LIBRARY, "wavespeed/refund-after-three-hours"))
    own, *others = shown["files"]

    assert ("wavespeed/refund-after-three-hours", "wavespeed") == (shown["name"], shown["provider"])
    assert "wavespeed/refund-after-three-hours.yaml" == own
    assert {"_common/fails-and-refunds.yaml", "wavespeed/baseline.yaml"} == set(others)
    assert "https://wavespeed.ai/docs/troubleshooting-guide" == shown["evidence"]["source"]


@pytest.mark.parametrize("name", [*NAMES, *(f"{p}/baseline" for p in LIBRARY.providers())])
def test_the_text_is_the_resolved_file(name: str) -> None:
    """What is printed reads back as the same file."""
    explained = explain(LIBRARY, name)
    tree = parse_tree(as_text(explained), "f.yaml")

    assert ([], explained.tree.value) == (tree.mistakes, tree.value)


def test_each_printed_value_has_its_place() -> None:
    """Behind each value stand file and line."""
    lines = as_text(explain(LIBRARY, "vicsee/plan-pro")).splitlines()[1:]

    assert [] == [
        line for line in lines if not line.endswith((":", "-")) and "  # vicsee/" not in line
    ]


@pytest.mark.parametrize(
    "value",
    ["", "5", "true", "null", "a: b", "# x", "x #y", " x", "é", "${A}", "on", "~", "- a", "a\nb"],
)
def test_quoted_where_needed(value: str) -> None:
    """Every text reads back as itself."""
    assert {"key": value} == parse_tree(f"key: {scalar(value)}\n", "f").value


def test_a_file_of_one_s_own(tmp_path: Path) -> None:
    """A scenario by path is explained like a shipped one."""
    path = tmp_path / "mine.yaml"
    path.write_text("extends: vicsee/plan-pro\nseed: 5\n", "utf-8")
    found = as_json(explain(LIBRARY, str(path)))

    assert str(path) in found["files"]  # type: ignore[operator]  # a list


def test_what_cannot_be_explained(tmp_path: Path) -> None:
    """A broken file tells its mistakes, an unknown name the nearest ones."""
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
