"""Messages about bodies with the wrong shape: the field, the value, and the expected value."""

from __future__ import annotations

import re
from collections.abc import Iterable
from inspect import isclass
from typing import Any, get_args

import msgspec

from upsim.core import causes
from upsim.core.nearest_names import closest

SHOWN = 300
"""Maximum characters of a message that contains text of a client."""
_PLACE = re.compile(r" - at `\$\.?(?P<place>[^`]*)`\Z")
_TYPE = re.compile(r"Expected `(?P<wanted>[a-z| ]+)`, got `(?P<got>[a-z]+)`\Z")
_BOUND = re.compile(r"Expected `int` (?P<bound>[<>]=? -?[0-9]+)\Z")
_LENGTH = re.compile(
    r"Expected `(?P<kind>str|object)` of length <= (?P<most>[0-9]+)"
    r" - at (?P<key>`key` in )?`\$\.?(?P<place>[^`]*)`\Z"
)
_PARTS = {"str": "characters", "object": "entries"}
_CHOICE = re.compile(r"Invalid enum value '(?P<value>.*)'\Z", re.DOTALL)
_FIELD = re.compile(r"Object contains unknown field `(?P<name>.*)`\Z", re.DOTALL)
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_TYPES = {"float": float, "bool": bool, "null": type(None), "array": list, "object": dict}
_WORDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
}


def of(message: str, body: bytes, shape: type[msgspec.Struct]) -> str:
    """Return a message that explains an error of msgspec about a JSON body."""
    found = _PLACE.search(message)
    place = found["place"] if found else ""
    said = message[: found.start()] if found else message
    if match := _LENGTH.fullmatch(message):
        return _too_long(body, match)
    if match := _FIELD.fullmatch(said):
        known = [one.encode_name for one in msgspec.structs.fields(_shape_at(shape, place))]
        return f"{message[:SHOWN]}; {nearest(match['name'], known)}"
    if match := _CHOICE.fullmatch(said):
        value, choices = match["value"], [*_choices(_type_at(shape, place))]
        return f"{place}: unknown value {causes.quoted(value)}; {nearest(value, choices)}"
    if match := _TYPE.fullmatch(said):
        kinds = match["wanted"].split(" | ")
        passed_over = {"null", "int" if "float" in kinds else ""}
        wanted = [one for one in kinds if one not in passed_over]
        words = [_WORDS.get(one, one) for one in wanted]
        place = _named(body, place, match["got"])
        seen = _seen(body, place) or _WORDS.get(match["got"], match["got"])
        return f"{place or 'the body'}: found {seen}, expected {' or '.join(words)}"
    if match := _BOUND.fullmatch(said):
        seen = _seen(body, place) or "another"
        return f"{place}: found {seen}, expected {_WORDS['int']} {match['bound']}"
    return message[:SHOWN]


def nearest(wrong: str, allowed: Iterable[str]) -> str:
    """Return a question with the most similar allowed value, or a list of all allowed values."""
    names = list(allowed)
    near = closest(wrong, names)
    return f"did you mean {near}?" if near else f"allowed: {', '.join(names) or 'nothing'}"


def _too_long(body: bytes, match: re.Match[str]) -> str:
    """Return a message about a text with too many characters, or an object with too many names."""
    place, most = match["place"], match["most"]
    one = not match["key"] and "[...]" not in place
    found = str(len(_at(msgspec.json.decode(body), place))) if one else f"more than {most}"
    subject = f"a name in {place}" if match["key"] else place
    return f"{subject}: found {found} {_PARTS[match['kind']]}, at most {most} are allowed"


def _named(body: bytes, place: str, got: str) -> str:
    """Return a place such as `balances[...]` with the name of the first value of this type."""
    parent = place.removesuffix("[...]")
    if parent == place or not parent or "[...]" in parent:
        return place
    try:
        found = _at(msgspec.json.decode(body), parent)
    except RecursionError:
        return place
    names = (name for name, one in found.items() if type(one) is _TYPES.get(got))
    return next((f"{parent}.{name}" for name in names if _STEP.fullmatch(name)), place)


def _at(value: Any, place: str) -> Any:  # noqa: ANN401 - JSON
    for name, number in _STEP.findall(place):
        value = value[int(number)] if number else value[name]
    return value


def _seen(body: bytes, place: str) -> str:
    """Return the value at a place with its type; empty if there is no single value."""
    if not place or "[...]" in place:
        return ""
    try:
        value = msgspec.json.decode(body)
    except RecursionError:  # another part of the body is nested too deeply
        return ""
    return causes.typed(_at(value, place))


def _type_at(shape: type[msgspec.Struct], place: str) -> Any:  # noqa: ANN401 - any annotation
    """Return the type of a field such as `clock.mode`."""
    parent, _, name = place.rpartition(".")
    fields = msgspec.structs.fields(_shape_at(shape, parent))
    return next((one.type for one in fields if one.encode_name == name), None)


def _choices(kind: Any) -> Iterable[str]:  # noqa: ANN401 - any annotation
    """Yield the texts that an annotation such as `Literal[...] | None` allows."""
    for one in get_args(kind):
        if isinstance(one, str):
            yield one
        else:
            yield from _choices(one)


def _shape_at(shape: type[msgspec.Struct], place: str) -> type[msgspec.Struct]:
    """Return the struct of a field such as `clock` that contains the field of the message."""
    for name in filter(None, place.split(".")):
        types = {field.encode_name: field.type for field in msgspec.structs.fields(shape)}
        kinds = get_args(types[name]) or (types[name],)
        shape = next(kind for kind in kinds if isclass(kind) and issubclass(kind, msgspec.Struct))
    return shape
