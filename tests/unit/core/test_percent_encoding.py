"""Percent-encoded text, of any size."""

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsim.core.percent_encoding import unescaped


@given(st.text(alphabet="%4aF1\u00e9x") | st.text())
def test_decoding_equals_the_standard_library(text: str) -> None:
    """Percent decoding equals the standard library, also for lower case and invalid escapes."""
    assert unquote_to_bytes(text.encode("utf-8", "surrogatepass")) == unescaped(text)


@pytest.mark.parametrize("before", range(6))
def test_no_escape_is_cut_in_two(before: int) -> None:
    """A long text that is decoded in pieces gives the same result as in one piece."""
    assert b"x" * before + b"A" * 100_000 == unescaped("x" * before + "%41" * 100_000)


def test_a_long_text_of_percent_signs_ends() -> None:
    """A long text of percent signs without escapes is unchanged."""
    assert b"%" * 200_000 == unescaped("%" * 200_000)
