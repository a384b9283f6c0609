"""Each fact under each dialect: it holds, or the dialect says why it departs from it.

The contract suite checks every fact under the provider's default dialect; these tests take the
other dialects.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from upsim.cli.verify import LOCAL
from upsim.scenario.loader import Library
from upsim_contracts.documents.openapi import default_dialect
from upsim_contracts.facts.fact_files import Book
from upsim_contracts.facts.fact_runner import Verdict, check_fact
from upsim_contracts.verify.command import VerifyOptions, open_target
from upsim_contracts.verify.run import book_of, pricer

LIBRARY = Library()
DIALECTS = [
    (provider, dialect)
    for provider in LIBRARY.providers()
    for dialect in LIBRARY.baseline(provider).baseline.dialects
]
OTHERS = [
    (provider, dialect) for provider, dialect in DIALECTS if dialect != default_dialect(provider)
]


def judged(book: Book, dialect: str) -> Iterator[Verdict]:
    """Return what becomes of each fact of a book under a dialect."""
    with ExitStack() as stack:
        order = VerifyOptions(providers=(book.provider,), dialect=dialect)
        target = open_target(stack, order, book, LOCAL)
        for fact in book.facts:
            yield check_fact(book, fact, target, pricer(book.provider), lambda _seconds: None)


@pytest.mark.parametrize(("provider", "dialect"), OTHERS)
def test_every_fact_holds_or_has_a_reason(provider: str, dialect: str) -> None:
    """Every fact holds, every response is documented, and each departure has a reason."""
    book = book_of(provider).under(dialect)
    told = list(judged(book, dialect))

    assert [one.fact.id for one in told if one.outcome in ("broken", "not run")] == []
    assert [str(found) for one in told for call in one.exchanges for found in call.findings] == []
    assert all(one.reason for one in told if one.outcome == "departs")


@pytest.mark.parametrize(("provider", "dialect"), DIALECTS)
def test_a_departing_fact_does_not_hold(provider: str, dialect: str) -> None:
    """Each listed departure belongs to a fact that really does not hold."""
    book = book_of(provider).under(dialect)
    apart = [replace(fact, departs=None) for fact in book.facts if fact.departs is not None]
    told = list(judged(replace(book, facts=tuple(apart)), dialect))
    own = book.dialects.get(dialect)

    assert [one.fact.id for one in told if one.outcome != "broken"] == []
    assert {fact.departs for fact in book.facts} - {None} == set(own.departs if own else ())


@pytest.mark.parametrize("provider", LIBRARY.providers())
def test_the_default_dialect_is_that_of_the_simulator(provider: str) -> None:
    """Contracts and baseline name the same default dialect."""
    assert LIBRARY.baseline(provider).baseline.dialects[0] == default_dialect(provider)
