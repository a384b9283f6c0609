"""The scenario files that the documentation prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from upsim.providers import discover
from upsim.scenario.loader import Library

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
def test_a_printed_file_is_valid(tmp_path: Path, text: str) -> None:
    """Every scenario in the documentation is one that the program takes."""
    library, path = Library(), tmp_path / "printed.yaml"
    path.write_text(text, "utf-8")

    assert [] == library.mistakes_in(library.resolve(path), discover())


def test_there_are_printed_files() -> None:
    """The documentation shows what a scenario looks like."""
    assert BLOCKS
