"""Foreign text on a terminal."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from upsim.core.printable_text import LINES, printable


@given(st.text(st.characters(exclude_categories=[])))
def test_every_character_is_printable(text: str) -> None:
    """Printable text contains no terminal control character, for any input."""
    assert printable(text).isprintable()
    assert all(c.isprintable() or c in LINES for c in printable(text, keep=LINES))


@given(st.dictionaries(st.text(), st.text(st.characters(exclude_categories=["Cs"]))))
def test_json_keeps_its_meaning(value: dict[str, str]) -> None:
    """A JSON document in printable form is still the same document."""
    shown = printable(json.dumps(value, ensure_ascii=False, indent=2), keep=LINES)

    assert value == json.loads(shown)


def test_plain_text_stays() -> None:
    """Letters of every script, spaces and symbols stay unchanged."""
    assert "größer → 映像 🎬 [bold]" == printable("größer → 映像 🎬 [bold]")


def test_line_breaks_are_kept_on_request() -> None:
    """On request, text keeps its line feeds, but no carriage returns."""
    assert "a\nb\\u000d\tc" == printable("a\nb\r\tc", keep=LINES)
