"""Messages about unknown names and values."""

from __future__ import annotations

import pytest

from upsim.core.suggestions import (
    MAX_SHOWN_LENGTH,
    nearest_to,
    shown,
    suggestion,
    unknown,
    unknown_value,
)


def test_a_suggestion_differs_from_the_given_value() -> None:
    """A suggestion is never the given value itself, but may be the same number as a text."""
    assert suggestion("polls", ["polls"]) == ""
    assert unknown_value("value", 2, ["1", "2"]) == 'unknown value 2; did you mean the text "2"?'


def test_no_allowed_names() -> None:
    """If no name of a kind exists, the error says so."""
    assert unknown("knob", "x", []) == "unknown knob 'x'; allowed: none"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"),
        ("a" * 81, f"'{'a' * 80}…'"),
        (None, "null"),
        ([True, 2, "a b"], "[true, 2, 'a b']"),
        ({"a": {"b": {"c": [1]}}}, "{a: {b: {c: …}}}"),
    ],
)
def test_values_are_shown_as_a_file_would_contain_them(value: object, text: str) -> None:
    """Texts are quoted, words of YAML are not, and deep or long parts are left out."""
    assert shown(value) == text


def test_long_lists_are_shortened() -> None:
    """A message shows only the first characters of a long value."""
    found = shown(["x" * 30] * 10)

    assert len(found) == MAX_SHOWN_LENGTH + 1
    assert found.endswith("…")


def test_value_of_any_type_is_compared_as_text() -> None:
    """A number without an equal text gets the list of allowed values."""
    assert nearest_to(7, ["a", "b"]) == "allowed: a, b"
