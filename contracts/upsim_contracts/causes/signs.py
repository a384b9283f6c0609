"""Signs of a change: single differences, each with the field or header that it points to.

Two signs with the same key show the same change. `upsim verify` and `upsim drift` group by it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

from upsim_contracts.charge_check import CHARGE
from upsim_contracts.drift.response_diff import INSTEAD, is_price
from upsim_contracts.findings import Finding

Key = tuple[str, ...]
PRICE = "price"
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_OF_A_FILE = {
    "width": "size",
    "height": "size",
    "fps": "fps",
    "audio": "audio",
    "seconds": "seconds",
    "frames": "frames",
    "container": "container",
}
"""What can be seen of an output, by what one change alters together."""
_INDEX = re.compile(r"\.\d+(?=\.|$)")
_MISSING = ("none", "nothing")
_OF_A_BODY = re.compile(r" \d{3}$")
_AMOUNT = re.compile(r'^amount "?|"$')
_AMOUNTS = re.compile(r"price|credit|cost|rate|quote", re.IGNORECASE)
_ALIKE = re.compile(r"[^a-z0-9]")


def key_of(finding: Finding) -> Key:
    """Return the change that a finding points to: the kind of change, and the field or header."""
    field, expected, seen = plain_field(finding.where), finding.expected, finding.seen
    if field.startswith("header "):
        return _header(field.removeprefix("header "), expected, seen)
    if is_whole(finding):
        return ("status", seen)
    if field == "body":
        return ("body", finding.operation)
    if field.startswith("output.") and leaf(field) in _OF_A_FILE:
        return ("output", _OF_A_FILE[leaf(field)])
    return _presence(leaf(field), expected, seen) or _content(field, expected, seen)


def _presence(name: str, expected: str, seen: str) -> Key | None:
    """Return the key of a new, missing or renamed field; None if only the value differs."""
    if expected == "no such field":
        return ("new", name)
    if seen.endswith(INSTEAD):
        return ("renamed", name, seen.removesuffix(INSTEAD))
    return ("gone", name) if seen in _MISSING else None


def _content(field: str, expected: str, seen: str) -> Key:
    """Return the key of a field whose value changed."""
    is_amount = (is_price(field) or field == CHARGE) and number(seen) is not None
    if is_amount or _is_price_list(field, expected, seen):
        return (PRICE,)
    if _TYPES.issuperset(expected.split(" or ")):
        return ("type", leaf(field))
    is_word = expected.startswith(("one of", '"'))
    return ("value", leaf(field), seen) if is_word else ("form", leaf(field))


def ratio(finding: Finding) -> Decimal | None:
    """Return the seen amount divided by the expected amount; None if the finding is no price."""
    expected, seen = number(finding.expected), number(finding.seen)
    about_price = is_price(finding.where) or finding.where == CHARGE
    if not about_price or not expected or seen is None:
        return None
    return seen / expected


def plain_field(where: str) -> str:
    """Return the path of a field without the positions in lists."""
    found = _INDEX.sub("", where.removeprefix("json.")).strip("()")
    return f"header {found.removeprefix('headers.')}" if found.startswith("headers.") else found


def leaf(path: str) -> str:
    """Return the last name of a path."""
    return path.rpartition(".")[2]


def is_whole(finding: Finding) -> bool:
    """Return whether a finding is about the HTTP status, not about a field named `status`."""
    return finding.where == "status" and _OF_A_BODY.search(finding.operation) is None


def number(text: str) -> Decimal | None:
    """Return the amount at the start of a text, or of a matcher; None for any other text."""
    try:
        found = Decimal(_AMOUNT.sub("", text).partition(" ")[0])
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def renames(missing: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Pair missing fields with new fields beside them: old path to new name.

    Both arguments map a path to its value as text, empty if the value is unknown. Names that differ
    only in case and punctuation are paired first. Then fields with equal values are paired. A last
    missing field is paired with a last new field.
    """
    found: dict[str, str] = {}
    left = dict(new)
    for fits in (_same_name, _same_value, _one_to_one):
        for old, value in missing.items():
            parent = old.rpartition(".")[0]
            beside = [one for one in left if one.rpartition(".")[0] == parent]
            others = [one for one in missing if one.rpartition(".")[0] == parent]
            fitting = [one for one in beside if fits(old, value, one, new[one], beside, others)]
            if old not in found and len(fitting) == 1:
                found[old] = fitting[0].rpartition(".")[2]
                del left[fitting[0]]
    return found


def _is_price_list(field: str, expected: str, seen: str) -> bool:
    """Return whether both texts are amounts by option, such as `{"1": 16, "4": 28}`."""
    expected = expected.removeprefix("is ")
    if _AMOUNTS.search(f"{field} {expected}") is None:
        return False
    if not (expected.startswith("{") and seen.startswith("{")):
        return False
    return re.sub(r": [\d.]+", ": #", expected) == re.sub(r": [\d.]+", ": #", seen)


def _header(name: str, expected: str, seen: str) -> Key:
    if expected == "no such header":
        return ("new header", name.lower())
    if seen in _MISSING:
        return ("header gone", name.lower())
    if name.lower() == "content-type":
        return ("content type", seen)
    return ("header", name.lower())


def _same_name(
    old: str, _value: str, new: str, _new: str, _beside: Sequence[str], _others: Sequence[str]
) -> bool:
    return _ALIKE.sub("", leaf(old).lower()) == _ALIKE.sub("", leaf(new).lower())


def _same_value(
    _old: str, value: str, _new: str, seen: str, _beside: Sequence[str], _others: Sequence[str]
) -> bool:
    return value != "" and value == seen


def _one_to_one(
    _old: str, _value: str, _new: str, _seen: str, beside: Sequence[str], others: Sequence[str]
) -> bool:
    return len(beside) == 1 and len(others) == 1
