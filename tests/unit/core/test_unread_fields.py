"""Fields of a body that an operation does not read."""

from __future__ import annotations

import pytest

from upsim.core import unread_fields
from upsim.core.nearest_names import nearest_of

READS: unread_fields.Reads = {(): frozenset({"video", "input"}), ("input",): frozenset({"size"})}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"video": 1, "factor": 2, "input": {"size": 3}}, ""),
        ({"video": 1, "input": [1]}, ""),
        ([1], ""),
        ({"sizes": 1}, "sizes is not read; did you mean input.size?"),
        ({"input": {"xyz": 1}}, "input.xyz is not read; here are read: input.size"),
        ({"x y": 1}, '"x y" is not read'),
    ],
)
def test_hint_names_each_unread_field(document: object, said: str) -> None:
    """The hint names each unread field, but no read fields or options of the model."""
    assert bool(said) == unread_fields.has_unread(READS, {"factor": 1}, document)
    assert said == unread_fields.hint(READS, {"factor": 1}, document, "")


def test_hint_of_very_many_fields_compares_only_the_first() -> None:
    """For a body with 200,000 unread fields, only four names are compared."""
    found = unread_fields.hint(READS, (), {f"x{number}": 1 for number in range(200_000)}, "")
    assert found == "x0 is not read; x1 is not read; x2 is not read; …"


def test_field_of_the_cause_is_not_named_again() -> None:
    """If the provider already refused an unknown field, the hint does not repeat it."""
    assert unread_fields.hint(READS, (), {"abc": 1}, '"abc": found a field that is not known') == ""


@pytest.mark.parametrize(
    ("name", "near"),
    [("size", "input.size"), ("SIZE", "input.size"), ("vid", "video"), ("zz", ""), ("vi", "")],
)
def test_nearest_name(name: str, near: str) -> None:
    """A suggestion prefers the same last part, then a similar spelling, then a part of the name."""
    assert near == nearest_of(name, ["video", "input.size"])


def test_hint_for_a_query_parameter_says_so() -> None:
    """The hint for a misspelt query parameter says `in the query` and suggests the nearest name."""
    found = unread_fields.hint(
        {(): frozenset({"webhook"})}, (), {"webhok": ""}, "", " in the query"
    )
    assert found == "webhok in the query is not read; did you mean webhook?"
