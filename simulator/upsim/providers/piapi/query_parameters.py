"""Query parameters that are whole numbers, and the refusal of an invalid parameter."""

from __future__ import annotations

import re
from collections.abc import Mapping

from upsim.core import causes
from upsim.core.checks import Violation

_WHOLE = re.compile("[0-9]{1,15}")


def whole(query: Mapping[str, str], name: str) -> int | Violation | None:
    """The parameter as a number; None when it is absent or empty."""
    text = query.get(name, "")
    if not text:
        return None
    if _WHOLE.fullmatch(text):
        return int(text)
    return bad_query(query, name, "a whole number of at most 15 digits")


def bad_query(query: Mapping[str, str], name: str, expected: str) -> Violation:
    """The refusal of an invalid query parameter."""
    cause = f"query: {causes.of(name, query, expected)}"
    return Violation("bad_query", {"field": name}, cause=cause)
