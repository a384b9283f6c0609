"""The scenario files that the documentation prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from upsim.providers import discover
from upsim.scenario.job_rules import STATES
from upsim.scenario.loader import Library

LIBRARY = Library()
DOCS = Path(__file__).parents[3] / "docs"
BLOCKS = [
    block
    for page in sorted(DOCS.rglob("*.md"))
    for block in re.findall(
        r"^```yaml\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    if re.search(r"^extends: ", block, re.MULTILINE)
]


@pytest.mark.parametrize("text", BLOCKS, ids=range(len(BLOCKS)))
def test_a_documented_scenario_is_valid(tmp_path: Path, text: str) -> None:
    """Every scenario printed in the documentation is valid."""
    library, path = Library(), tmp_path / "printed.yaml"
    path.write_text(text, "utf-8")

    assert [] == library.mistakes_in(library.resolve(path), discover())


def test_there_are_documented_scenarios() -> None:
    """The documentation prints several scenarios."""
    assert BLOCKS


def test_the_table_of_states() -> None:
    """The documentation's table has every state with each provider's status word."""
    page = (DOCS / "reference/scenarios.md").read_text("utf-8")
    (head,) = re.findall(r"^\| state \| (.*) \|$", page, re.MULTILINE)
    every = [LIBRARY.baseline(provider).baseline for provider in LIBRARY.providers()]
    baselines = [baseline for baseline in every if baseline.title in head.split(" | ")]
    rows = [
        ["state", *(baseline.title for baseline in baselines)],
        ["---"] * (len(baselines) + 1),
        *(
            [f"`{word}`" for word in (state, *(b.statuses[state].value for b in baselines))]
            for state in STATES
        ),
    ]

    assert "\n".join(f"| {' | '.join(row)} |" for row in rows) in page
