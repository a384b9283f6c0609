"""The words by which scenarios are found."""

from __future__ import annotations

import pytest

from upsim.scenario.listing import Listed, listing
from upsim.scenario.loader import Library
from upsim.scenario.searching import SYNONYMS, Term, known_synonyms, searched
from upsim.scenario.tree import read_tree

EVERYTHING = listing(Library())
TABLE = {"rate limit": ("429",), "rate": ("fps",), "cut": ("in pieces",)}
SLOW = Listed("toy/slow-429", "toy", "The answer is 1429 bytes, in PIECES.")


def test_the_table_can_be_read() -> None:
    """The file has no mistake, such as a thing that is asked twice in one entry."""
    assert [] == list(read_tree(SYNONYMS).mistakes)
    assert len(known_synonyms()) > 100


@pytest.mark.parametrize("asked", known_synonyms())
def test_every_synonym_finds_something(asked: str) -> None:
    """Whatever the table says that people ask finds a scenario."""
    found, has = searched([asked], known_synonyms()).of(EVERYTHING)

    assert (1, True) == (has, len(found) < len(EVERYTHING) / 2)


@pytest.mark.parametrize("meant", sorted({one for row in known_synonyms().values() for one in row}))
def test_every_meaning_stands_somewhere(meant: str) -> None:
    """Whatever the table leads to stands in a name or a summary."""
    assert any(Term("no such text", (meant,)).is_in(item) for item in EVERYTHING)


def test_the_longest_row_is_one_term() -> None:
    """Words that mean something together are looked for together, with their endings."""
    assert (Term("rate-limits", ("429",)), Term("clip"), Term("rate", ("fps",))) == searched(
        ["Rate-limits clip", "rate"], TABLE
    ).terms


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (Term("swer byt"), True),
        (Term("slow-429"), True),
        (Term("slow fast"), False),
        (Term("x", ("in pieces",)), True),
        (Term("x", ("slow 429",)), True),
        (Term("x", ("142",)), False),
    ],
)
def test_a_term_is_in_a_scenario(term: Term, *, expected: bool) -> None:
    """Typed words may be parts of words; what is meant by them stands as whole words."""
    assert expected == term.is_in(SLOW)
