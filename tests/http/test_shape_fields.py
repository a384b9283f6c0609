"""The admin API's shapes are filled from attributes, and described by the same declaration."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, TypedDict

import msgspec
import pytest

from upsim.web.admin.shape_fields import AsText, At, Exact, From, Hidden, Length, NonEmpty, show


class Inner(TypedDict):
    """A shape within a shape."""

    amount: Exact


class Outer(TypedDict):
    """Every kind of field."""

    name: Annotated[str, From("owner.name")]
    at: At | None
    rate: AsText
    text: Hidden
    note: NonEmpty
    items: Length
    one: Inner | None
    many: list[Inner]
    by_name: dict[str, Inner]
    pairs: dict[str, str]
    words: list[str]
    added: int


@dataclass
class Money:
    """What an inner shape is filled from."""

    amount: Decimal = Decimal("1E+1")


@dataclass
class Owner:
    """What holds an attribute of an attribute."""

    name: str = "vicsee"


@dataclass
class Thing:
    """What an outer shape is filled from."""

    owner: Owner = field(default_factory=Owner)
    at: int | None = 0
    rate: Fraction = Fraction(30000, 1001)
    text: str = "plain"
    note: str = ""
    items: tuple[int, ...] = (1, 2)
    one: Money | None = None
    many: tuple[Money, ...] = (Money(),)
    by_name: dict[str, Money] = field(default_factory=lambda: {"a": Money(Decimal("0.50"))})
    pairs: tuple[tuple[str, str], ...] = (("a", "b"),)
    words: tuple[str, ...] = ("x",)


def test_show_reads_each_field_as_its_shape_declares() -> None:
    """Paths, conversions, inner shapes, lists and mappings come from the annotations."""
    shown = show(Outer, Thing(), added=3)

    assert list(Outer.__annotations__) == list(shown)
    assert {
        "name": "vicsee",
        "at": "1970-01-01T00:00:00.000000Z",
        "rate": "30000/1001",
        "text": "plain",
        "note": None,
        "items": 2,
        "one": None,
        "many": [{"amount": "10"}],
        "by_name": {"a": {"amount": "0.50"}},
        "pairs": {"a": "b"},
        "words": ["x"],
        "added": 3,
    } == shown
    assert show(Outer, Thing(at=None, one=Money()), added=3)["one"] == {"amount": "10"}
    assert show(Outer, Thing(at=None), added=3)["at"] is None
    with pytest.raises(AttributeError, match="added"):
        show(Outer, Thing())


def test_shapes_are_described_without_their_sources() -> None:
    """The JSON Schema of a shape has its types, under the name of its class."""
    (_,), components = msgspec.json.schema_components([Outer])

    assert {"Inner", "Outer"} == set(components)
    assert {"type": "string"} == components["Outer"]["properties"]["name"]
    assert {"type": "integer"} == components["Outer"]["properties"]["items"]
