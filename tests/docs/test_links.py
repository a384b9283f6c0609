"""Every link of a Markdown file leads to a file and a heading, and the indexes list every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHELVES = ("tutorial", "how-to", "reference", "explanation")
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("simulator/upsim/providers/*/README.md"),
]
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(CODE.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Return the links of a page that lead to no file, or to no heading of the file."""
    broken = []
    for target, anchor in LINK.findall(CODE.sub("", page.read_text("utf-8"))):
        found = (page.parent / target).resolve() if target else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(f"{target}#{anchor}")
    return broken


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    """A page has no link to a missing file or to a missing heading."""
    assert broken_links(page) == []


@pytest.mark.parametrize("folder", ["", "decisions"])
def test_the_index_lists_every_page_once(folder: str) -> None:
    """`docs/README.md` links each page of the four shelves, `decisions/README.md` each decision."""
    index = ROOT / "docs" / folder / "README.md"
    shelves = [folder] if folder else SHELVES
    pages = {page for shelf in shelves for page in (ROOT / "docs" / shelf).glob("*.md")}
    links = LINK.findall(index.read_text("utf-8"))
    listed = [(index.parent / link).resolve() for link, _ in links]

    assert {page: listed.count(page) for page in pages - {index}} == dict.fromkeys(
        pages - {index}, 1
    )


@pytest.mark.parametrize("index", ["docs/README.md", "docs/decisions/README.md"])
def test_links_of_an_index_are_titles(index: str) -> None:
    """Each link of an index to a page has the title of that page."""
    text = (ROOT / index).read_text("utf-8")
    links = re.findall(r"\[([^\]]+)\]\(((?:[\w-]+/)?[\w-]+\.md)\)", text)
    pages = {title: (ROOT / index).parent / target for title, target in links}
    titles = {title: page.read_text("utf-8").partition("\n")[0] for title, page in pages.items()}

    assert len(titles) > 20
    assert {
        title: found
        for title, found in titles.items()
        if f"# {title}".lower() != found.lower() and not found.startswith("# Decisions")
    } == {}
