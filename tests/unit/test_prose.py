"""`tests/prose.py` finds prose that must be read twice and leaves code, URLs and data alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import prose

NOTHING: list[str] = []


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("Return the balance of an account.", NOTHING),
        ("Whether the job has ended.", NOTHING),
        ("`Money` that an account has left.", NOTHING),
        ("uvicorn's protocol, with a fast path.", NOTHING),
        ("And the same for downloads.", ["docstring opens with 'And'"]),
        ("With the same response.", ["docstring opens with 'With'"]),
        ("If the file is missing, the server answers 404.", []),
        ("What a client did about one job.", ["docstring opens with 'What'"]),
        ("which is late by a day.", ["docstring opens with 'which'"]),
        ("At once.", ["docstring 'At once.' is shorter", "docstring opens with 'At'"]),
        ("The balance of an account", ["docstring's first paragraph is no sentence"]),
        ("The purse that nobody fills.", ["'nobody'", "'purse'"]),
    ],
)
def test_docstrings_that_do_not_stand_alone_are_found(docstring: str, expected: list[str]) -> None:
    """A docstring opens with a noun or verb, ends as a sentence and avoids the listed words."""
    found = prose.findings(Path("x.py"), f'def name():\n    """{docstring}"""\n')

    assert len(expected) == len(found)
    assert all(one.what.startswith(start) for one, start in zip(found, expected, strict=True))
    assert all(one.line == 2 and one.advice for one in found)


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("x.py", 'told = "told"\nraise E(f"the server {told} so many times")\n# nobody', [2, 3]),
        ("x.py", 'text = "as the API was told"  # prose: ok, words of the provider', []),
        ("x.py", '"""Return a URL.\n\nIt comes to nothing.\n"""', [3]),
        (
            "x.md",
            "Whoever reads `told`\n```\nnobody\n```\n[stands](told.md) https://e/told",
            [1, 5],
        ),
        ("x.yaml", "message: nobody told\nsummary: Nobody told us.  # so many", [2, 2, 2]),
        (
            "x.yaml",
            "  wrong: Failures are not told.\n  - {place: x, because: It stands here.}",
            [1, 2],
        ),
        ("Makefile", "told:  ## whatever there is\n\techo told", [1]),
    ],
)
def test_only_what_people_read_is_searched(name: str, text: str, lines: list[int]) -> None:
    """Names, code, URLs, provider messages and excused lines are not searched for words."""
    assert lines == [line for line, _, _ in prose.findings(Path(name), text)]


def test_every_file_of_the_list_of_unfinished_prose_exists() -> None:
    """`NOT_YET` names only files and folders that exist."""
    assert [] == [name for name in prose.NOT_YET if not (prose.ROOT / name).exists()]


def test_reports_name_file_line_word_and_advice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints each finding as `file:line: word: advice` and returns 1."""
    page = tmp_path / "page.md"
    page.write_text("Fine.\nNobody reads this.\n", "utf-8")

    assert prose.main([str(page)]) == 1

    assert capsys.readouterr().out.startswith(f"{page}:2: 'Nobody': write the positive fact")
