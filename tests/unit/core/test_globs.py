"""Globs match as in a shell, in bounded time."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.slowness import slowness
from upsim.core.globs import MAX_GLOB_LENGTH, MAX_TEXT_LENGTH, excess, fits, flaw


@settings(max_examples=100)
@given(st.text("ab/", max_size=12), st.lists(st.sampled_from(["a", "b", "/", "*", "?", "[ab]"])))
def test_globs_mean_the_same_as_in_the_standard_library(text: str, parts: list[str]) -> None:
    """A text fits a glob exactly when `fnmatch` says so."""
    glob = "".join(parts)
    assert fnmatchcase(text, glob) == fits(text, glob)


def test_only_the_start_of_a_long_text_is_compared_with_a_glob() -> None:
    """A glob that is too long matches only the text that is identical to it."""
    glob = "a*" * MAX_GLOB_LENGTH
    assert (True, False) == (fits(glob, glob), fits("a" * MAX_GLOB_LENGTH, glob))
    assert fits("a" * MAX_TEXT_LENGTH + "b", "*a")
    assert not fits("a" * MAX_TEXT_LENGTH + "b", "*b")


@pytest.mark.parametrize(
    "glob", ["*" + "a" * 900 + "b*", "*a" * 400 + "b", "*" + "?" * 900 + "b*", "*[ab]" * 150 + "c"]
)
def test_no_text_makes_a_glob_slow(glob: str) -> None:
    """A long text and a crafted glob match in less than a tenth of a second of CPU time."""
    text = "a" * 4_000_000
    fits("", glob)  # patterns are compiled once
    began = time.thread_time()
    assert not fits(text, glob)
    assert time.thread_time() - began < 0.1 * slowness()


@pytest.mark.parametrize(
    ("glob", "said"),
    [
        ("*.mp4", ""),
        ("a[bc]?[!d]*[[]", ""),
        ("[]a]", ""),
        ("x" * 2_000, ""),
        ("https://a.example/[b", "the [ is not closed; write [[] for a literal bracket"),
        ("[]", "the [ is not closed; write [[] for a literal bracket"),
        ("a[bc][!", "the [ is not closed; write [[] for a literal bracket"),
        ("[a-c][z-a]*", "[z-a] fits no character"),
        (
            "*" * 1_001,
            "it is longer than 1000 characters, so its signs are taken literally",
        ),
    ],
)
def test_flaw_of_a_glob(glob: str, said: str) -> None:
    """Unclosed brackets, empty sets and wildcards in a too long glob are reported as flaws."""
    assert said == flaw(glob)
    if "fits no" in said:
        assert not fits("b", glob)


@pytest.mark.parametrize(
    ("globs", "said"),
    [
        (["plain " * 1_000, "*" * 1_001, "a*b", "a?b"], ""),
        (["?"] * 201, "there are 201 globs with ? or [ in all; at most 200 are allowed"),
        (["[ab]" * 100] * 21, "8400 characters in globs with ? or ["),
        (["a*" * 100] * 501, "100200 characters in globs in all"),
    ],
)
def test_globs_are_bounded_together(globs: list[str], said: str) -> None:
    """The number and total length of glob patterns are limited; plain texts do not count."""
    assert said in excess(globs)
    assert bool(said) is bool(excess(globs))
