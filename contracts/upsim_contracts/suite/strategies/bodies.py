"""Strategies for the body of a valid request: options, and unknown fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from upsim_contracts.suite.generate_table import Submit

Options = Mapping[str, Any]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PREFIX = "x_"
"""No document has a field that begins so."""

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=3,
)


def options(submit: Submit) -> st.SearchStrategy[Options]:
    """Return a strategy for any choice of options; each option may be left out."""
    return st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(list(given)) for name, given in submit.options.items()}
    )


def unknown_fields() -> st.SearchStrategy[Options]:
    """Return a strategy for fields that no document defines."""
    names = st.text(LETTERS, min_size=1, max_size=8).map(lambda name: PREFIX + name)
    return st.dictionaries(names, values, min_size=1, max_size=3)
