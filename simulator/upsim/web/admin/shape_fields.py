"""Fill the shapes of the admin API: each field names its attribute and its conversion."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from decimal import Decimal
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import msgspec

from upsim.core.instants import Instant, iso
from upsim.core.secrets import hidden_text

_Shape = TypeVar("_Shape")
_Convert = Callable[[Any], object]


class From(msgspec.Struct, frozen=True):
    """The attribute that a field shows, with dots for nested attributes."""

    path: str


class As(msgspec.Struct, frozen=True):
    """The conversion of a field's value."""

    convert: _Convert


def exact(value: Decimal) -> str:
    """Return an exact amount as a text without an exponent."""
    return f"{value:f}"


def moment(instant: Instant) -> str:
    """Return a time in UTC, to the microsecond."""
    return iso(instant, 6)


At = Annotated[str, As(moment)]
Exact = Annotated[str, As(exact)]
AsText = Annotated[str, As(str)]
Hidden = Annotated[str, As(hidden_text)]
Length = Annotated[int, As(len)]
HiddenOrNone = Annotated[str | None, As(lambda text: hidden_text(text) or None)]
NonEmpty = Annotated[str | None, As(lambda text: text or None)]
"""A text, or null if it is empty."""


def show(shape: type[_Shape], found: object, **given: object) -> _Shape:
    """Return an object in a shape; fields not in `given` are read from the object's attributes.

    If the type of a field is itself a shape, the attribute is converted into that shape.
    """
    readers = _readers(cast("Hashable", shape))
    shown = {name: given[name] if name in given else read(found) for name, read in readers}
    return cast("_Shape", shown)


@cache
def _readers(shape: Hashable) -> tuple[tuple[str, _Convert], ...]:
    hints = get_type_hints(shape, include_extras=True)
    return tuple((name, _reader(name, hint)) for name, hint in hints.items())


def _reader(name: str, hint: Any) -> _Convert:  # noqa: ANN401 - a type
    notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    path = next((note.path for note in notes if isinstance(note, From)), name)
    attribute, convert = attrgetter(path), _converter(hint)
    return attribute if convert is None else lambda found: convert(attribute(found))


def _converter(hint: Any) -> _Convert | None:  # noqa: ANN401 - a type
    """Return the conversion of an attribute to this type; None if no conversion is needed."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        own = (note.convert for note in arguments[1:] if isinstance(note, As))
        return next(own, None) or _converter(arguments[0])
    if origin in (Union, UnionType):
        inner = next(_converter(one) for one in arguments if one is not NoneType)
        return None if inner is None else _optional(inner)
    if origin in (list, dict):
        return _collection(origin, _converter(arguments[-1]))
    return (lambda found: show(hint, found)) if is_typeddict(hint) else None


def _optional(convert: _Convert) -> _Convert:
    return lambda found: None if found is None else convert(found)


def _collection(kind: type, item: _Convert | None) -> _Convert:
    if item is None:
        return kind
    if kind is list:
        return lambda values: [item(value) for value in values]
    return lambda found: {name: item(value) for name, value in found.items()}
