"""The tables that say what properties and machines vary."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upsim_contracts.clip_properties import ClipProperties, clip
from upsim_contracts.exceptions import ContractFileError
from upsim_contracts.facts.fact_files import Book
from upsim_contracts.suite.generate_table import generation
from upsim_contracts.suite.property_runs import tables
from upsim_contracts.suite.strategies.clips import bounds, clips
from upsim_contracts.suite.strategies.flaws import pairs
from upsim_contracts.suite.strategies.ids import beside
from upsim_contracts.verify.run import book_of, providers

CALLS = [submit for table in tables() for submit in table.submits.values()]


def changed(provider: str, **parts: object) -> Book:
    """A book whose table has other parts."""
    book = book_of(provider)
    contract = book.tables["contract"]
    table = {**contract["generate"], **parts}
    return replace(book, tables={**book.tables, "contract": {**contract, "generate": table}})


def test_a_book_is_read_once() -> None:
    """The fact book of a provider is loaded once and then reused."""
    assert book_of("wavespeed") is book_of("wavespeed")


def test_every_provider_has_a_table() -> None:
    """Each provider has a table for the property tests and the state machines."""
    assert [table.provider for table in tables()] == list(providers())


def test_a_book_without_a_table_has_none() -> None:
    """A contract folder without a table file is valid."""
    assert generation(replace(book_of("vicsee"), tables={})) is None


def test_an_unknown_call_is_named() -> None:
    """The error for a misspelt call suggests the nearest call."""
    with pytest.raises(ContractFileError, match="no call 'tsaks'; did you mean tasks"):
        generation(changed("piapi", lists=["tsaks"]))


def test_an_unknown_field_is_named() -> None:
    """The error for a misspelt field of a table names the field."""
    with pytest.raises(ContractFileError, match=r"vicsee: generate: .*'of_'"):
        generation(changed("vicsee", submits={"create": _submit_with(of_="seconds")}))


def _submit_with(**price: str) -> dict[str, object]:
    submits: dict[str, dict[str, object]] = dict(
        book_of("vicsee").tables["contract"]["generate"]["submits"]
    )
    return {**submits["create"], "price": price}


@settings(max_examples=50, database=None, derandomize=True)
@given(st.data())
def test_clips_are_within_their_bounds_and_exact(data: st.DataObject) -> None:
    """Every generated clip has a name and a whole number of frames within the limits."""
    submit = data.draw(st.sampled_from(CALLS))
    made: ClipProperties = data.draw(clips(submit.clips))
    fewest, most = bounds(submit.clips, made.fps)
    assert Fraction(made.seconds) * made.fps == made.frames
    assert fewest <= made.frames <= most
    assert clip(str(made)) == made


def test_mistakes_of_the_same_part_are_no_pair() -> None:
    """Two generated mistakes are combined only if one request can contain both."""
    table = generation(book_of("vicsee"))
    assert table is not None
    submit = table.submits["create"]
    named = {(one.name, other.name) for one, other in pairs(submit, table.book.calls[submit.call])}
    assert ("no key", "too long") in named
    assert {("no key", "another scheme"), ("no video", "too long")} & named == set()


@pytest.mark.parametrize("job", ["task_k3v9q2m7", "7c1e0d52-5f0a-4f3e-9a54-2b8d6f1c0e77", "0"])
def test_an_altered_id_differs_in_one_place(job: str) -> None:
    """An altered id differs from the original in one character and has the same format."""
    other = beside(job, 3, 5)
    assert [len(job), 1] == [
        len(other),
        sum(one != two for one, two in zip(job, other, strict=True)),
    ]
