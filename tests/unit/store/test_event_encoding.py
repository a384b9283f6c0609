"""Events as bytes: every kind of event, with any values, is read as it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsim.core.events import Event, JobAccepted
from upsim.core.faults import Action
from upsim.store.event_encoding import ACTIONS, KINDS, EventReader, EventWriter

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)
BIG = st.integers(min_value=-(10**40), max_value=10**40)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["$decimal", "$over"]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | BIG | DECIMALS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def values_of(hint: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - a type
    """Return values of the type of a field."""
    if hint is Action:
        return st.one_of(*(instances(kind) for kind in ACTIONS))
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is None or origin is Literal:
        return _plain(hint)
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values_of, arguments))
    if origin is Mapping:
        return st.dictionaries(*map(values_of, arguments), max_size=2)
    return st.one_of(*map(values_of, arguments))


def _plain(hint: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - as above
    if is_dataclass(hint) or hasattr(hint, "__struct_fields__"):
        return instances(hint)
    known = {
        object: JSON,
        int: st.integers(-(2**63), 2**63 - 1),
        str: TEXTS,
        Decimal: DECIMALS,
        Fraction: st.fractions(),
        type(None): st.none(),
    }
    return known[hint] if hint in known else st.from_type(hint)


def instances(kind: type) -> st.SearchStrategy[Any]:
    """Return instances of a class whose fields have any values."""
    if not is_dataclass(kind) and not hasattr(kind, "__struct_fields__"):
        return st.from_type(kind)
    hints = get_type_hints(kind)
    names = [one.name for one in fields(kind)] if is_dataclass(kind) else kind.__struct_fields__
    return st.builds(kind, **{name: values_of(hints[name]) for name in names})


def test_each_kind_of_event_has_a_code() -> None:
    """A new kind of event cannot be forgotten."""
    assert set(KINDS) == set(get_args(Event))
    assert set(ACTIONS) == set(get_args(Action))
    assert len(set(KINDS)) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_event_is_read_as_it_was_written(kind: type) -> None:
    """Every field is equal afterwards, numbers and their types included."""

    @given(st.lists(instances(kind), min_size=1, max_size=3))
    def both_are_equal(events: list[Event]) -> None:
        read = EventReader().batch(EventWriter().batch([(7, events)]))
        assert read == [(7, events)]
        assert repr(read) == repr([(7, events)])

    both_are_equal()


@given(st.lists(instances(JobAccepted), min_size=1, max_size=3))
def test_jobs_share_what_is_equal_in_later_batches(jobs: list[JobAccepted]) -> None:
    """A later batch names the terms of an earlier one; a reader of both gets all fields."""
    writer, reader = EventWriter(), EventReader()
    first, second = writer.batch([(1, jobs)]), writer.batch([(2, jobs)])

    assert reader.batch(first) == [(1, jobs)]
    assert reader.batch(second) == [(2, jobs)]
    assert len(second) < len(first)


@given(st.lists(instances(JobAccepted), min_size=1, max_size=3))
def test_a_writer_that_forgot_its_terms_needs_no_earlier_batch(jobs: list[JobAccepted]) -> None:
    """After a compaction, the first batch holds everything again."""
    writer = EventWriter()
    writer.batch([(1, jobs)])
    writer.forget_terms()

    assert EventReader().batch(writer.batch([(1, jobs)])) == [(1, jobs)]
