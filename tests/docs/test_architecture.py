"""The table of ARCHITECTURE.md names files that exist and hold what they are named for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASES = {"upsim": ROOT / "simulator", "upsim_contracts": ROOT / "contracts", "scenarios": ROOT}
ROW = re.compile(r"^\| ([^|]+) \| `([^`]+)` \| `([^`]+)` \|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "ARCHITECTURE.md").read_text("utf-8"))
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PACKAGES = [path.name for path in (ROOT / "simulator" / "upsim").iterdir() if path.is_dir()]
SOURCE = re.compile(rf"(?<![\w/.])(?:{'|'.join(PACKAGES)})/[\w/]+\.py\b")


def has_symbol(text: str, symbol: str) -> bool:
    """Return whether a module defines a name, or a YAML file has a top-level key."""
    defined = rf"^(?:(?:async )?def |class |){symbol}(?:\(|\[|:| =|\b: )"
    return re.search(defined, text, re.MULTILINE) is not None


def test_the_table_has_sixty_different_questions() -> None:
    """The table has at least sixty rows, and no question appears twice."""
    assert len({question for question, *_ in ROWS}) == len(ROWS) >= 60


@pytest.mark.parametrize(("question", "path", "symbol"), ROWS, ids=[row[0] for row in ROWS])
def test_the_named_file_has_the_named_symbol(question: str, path: str, symbol: str) -> None:
    """Each row names an existing file, and a symbol that this file defines."""
    file = BASES[path.split("/", maxsplit=1)[0]] / path
    assert file.is_file(), f"{question}: {path} does not exist"
    assert has_symbol(file.read_text("utf-8"), symbol), f"{question}: {path} has no {symbol}"


@pytest.mark.parametrize("readme", sorted(ROOT.glob("simulator/upsim/providers/*/README.md")))
def test_readme_of_a_provider_lists_its_files(readme: Path) -> None:
    """If a provider's README lists files, it lists every file of the folder, and no other file."""
    table = readme.read_text("utf-8").partition("\n## ")[0]
    listed = set(re.findall(r"`(\w+\.py)`", table))

    assert listed in (set(), {file.name for file in readme.parent.glob("*.py")})


def test_pages_name_existing_source_files() -> None:
    """Each source file that a page names, such as `web/dispatch.py`, exists."""
    named = {(page.name, path) for page in PAGES for path in SOURCE.findall(page.read_text())}
    missing = [
        (page, path) for page, path in named if not (BASES["upsim"] / "upsim" / path).is_file()
    ]

    assert len(named) > 20
    assert missing == []
