"""The words by which scenarios are found."""

from __future__ import annotations

import pytest

from upsim.scenario.listing import listing
from upsim.scenario.loader import Library
from upsim.scenario.scenario_search import (
    SYNONYMS,
    Listed,
    Term,
    former_names,
    known_synonyms,
    searched,
)
from upsim.scenario.yaml_tree import read_tree

EVERYTHING = listing(Library())
KNOWN = known_synonyms()
TABLE = {"rate limit": ("429",), "rate": ("fps",), "cut": ("in pieces",)}
SLOW = Listed("toy/slow-429", "toy", "The answer is 1429 bytes, in PIECES.")


def test_the_table_can_be_read() -> None:
    """The table of synonyms has no mistake, such as a duplicate term in one entry."""
    assert [] == list(read_tree(SYNONYMS).mistakes)
    assert len(KNOWN) > 100


@pytest.mark.parametrize("asked", KNOWN)
def test_every_synonym_finds_a_scenario(asked: str) -> None:
    """A search for each synonym finds at least one, but less than half of all scenarios."""
    found, has = searched([asked], KNOWN).of(EVERYTHING)

    assert (1, True) == (has, len(found) < len(EVERYTHING) / 2)


def test_every_meaning_of_a_synonym_is_in_a_name_or_a_summary() -> None:
    """Each target word of a synonym occurs in the name or the summary of a scenario."""
    meanings = sorted({one for row in KNOWN.values() for one in row})
    terms = {one: Term("no such text", (one,)) for one in meanings}

    assert [] == [one for one, term in terms.items() if not any(map(term.is_in, EVERYTHING))]


def test_the_longest_row_is_one_term() -> None:
    """Words that form one term are searched together, with their endings."""
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
    """A typed word also matches inside a word, but its synonyms match only whole words."""
    assert expected == term.is_in(SLOW)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("refunded", "a refund"),
        ("refund", "is refunded"),
        ("charges", "charged"),
        ("failures", "it fails"),
        ("failing", "a failure"),
        ("fail", "failures"),
        ("expiry", "has expired"),
        ("cancelling", "cancelled"),
        ("expired", "expires"),
    ],
)
def test_a_word_finds_its_other_forms(typed: str, words: str) -> None:
    """A search ignores the English ending of a typed word."""
    assert Term(typed).is_in(Listed("toy/one", "toy", words))


@pytest.mark.parametrize("typed", ["red", "4xxes", "fail5s", "uses"])
def test_short_words_and_codes_keep_their_endings(typed: str) -> None:
    """A short word or a code is searched exactly as typed."""
    assert not Term(typed).is_in(Listed("toy/one", "toy", typed[:-1]))


def test_a_search_for_413_of_piapi_finds_its_scenario() -> None:
    """A search for `413 piapi` finds a summary about large files.

    It says that PiAPI refuses a large file with 413 at a create, and with 400 at an upload.
    """
    found, has = searched(["413", "piapi"], {}).of(EVERYTHING)

    assert (2, ["piapi/too-large"]) == (has, [item.name for item in found])
    assert found[0].summary.endswith("which only a create refuses with 413; an upload answers 400.")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("insufficient-balance", "venice/insufficient-funds"),
        ("insufficient-balance", "piapi/insufficient-funds"),
        ("outofcredits", "vicsee/insufficient-funds"),
        ("network", "vicsee/answer-lost-after-acceptance"),
        ("5xx", "venice/bad-gateway-502"),
        ("insufficient_funds", "vicsee/insufficient-funds"),
        ("out-of-credits", "vicsee/insufficient-funds"),
        ("upscale-fails", "venice/fails-and-refunds"),
        ("rate-limited", "vicsee/two-a-minute"),
        ("429-venice", "venice/overloaded-429"),
        ("refunded-late", "piapi/refund-after-three-hours"),
    ],
)
def test_hyphenated_words_find_the_meaning_of_their_parts(words: str, name: str) -> None:
    """An unknown hyphenated name is searched by its parts, a former name by its current name."""
    synonyms = {**KNOWN, **former_names(Library().aliases)}
    search = searched([words], synonyms)
    found, has = search.of(EVERYTHING)

    assert len(search.terms) == has
    assert name in {item.name for item in found}


def test_hyphenated_name_finds_itself_alone() -> None:
    """A search for an existing hyphenated name does not search for its parts."""
    found, _ = searched(["stuck-in-queue"], KNOWN).of(EVERYTHING)
    assert {"stuck-in-queue"} == {item.short for item in found}
