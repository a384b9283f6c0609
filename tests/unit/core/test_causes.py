"""Sentences on what was wrong with a request: by type, short, escaped, without secrets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsim.core import causes

FACTORS = ("1", "2", "4")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, 'upscale_factor: found the number 2, expected the text "2"'),
        (Decimal("2.0"), 'upscale_factor: found the number 2.0, expected the text "1", "2" or "4"'),
        ("3", 'upscale_factor: found the text "3", expected the text "1", "2" or "4"'),
        (True, 'upscale_factor: found true, expected the text "1", "2" or "4"'),
        (None, 'upscale_factor: found null, expected the text "1", "2" or "4"'),
        ("", 'upscale_factor: found an empty text, expected the text "1", "2" or "4"'),
        ([2], 'upscale_factor: found a list of 1, expected the text "1", "2" or "4"'),
        ([], 'upscale_factor: found an empty list, expected the text "1", "2" or "4"'),
        ({"a": 1}, 'upscale_factor: found an object, expected the text "1", "2" or "4"'),
        ({}, 'upscale_factor: found an empty object, expected the text "1", "2" or "4"'),
    ],
)
def test_choice_names_value_and_type(value: object, expected: str) -> None:
    """If a number is given for a text, the cause names the expected text."""
    assert expected == causes.wrong_choice("upscale_factor", value, FACTORS)


def test_text_in_place_of_a_number_names_the_number() -> None:
    """If a text is given for a number, the cause names the expected number."""
    found = causes.wrong_choice("upscale_factor", "2", ("1", "2"), "number")
    assert 'upscale_factor: found the text "2", expected the number 2' == found


def test_long_lists_of_choices_are_cut() -> None:
    """A cause lists at most ten allowed values."""
    found = causes.wrong_choice("model", "x", map(str, range(11)))
    assert found.endswith('"8", "9" or …')


def test_single_choice_has_no_or() -> None:
    """A cause with one allowed value has no `or`."""
    assert causes.wrong_choice("a", "b", ("c",)).endswith('expected the text "c"')


def test_long_values_are_cut() -> None:
    """A cause does not write out lists, and cuts long texts before it compares them."""

    class Counted(list[object]):
        def __str__(self) -> str:
            raise AssertionError

        __repr__ = __str__

    long = Counted(["x"] * 10)
    assert "a list of 10" == causes.told(long)
    assert "found a list of 10" in causes.wrong_choice("a", long, ("b",))
    assert ("x" * causes.SHOWN + "…", "2", "true") == (
        causes.told("x" * 1_000),
        causes.told(2),
        causes.told("true"),
    )


def test_missing_value_is_nothing() -> None:
    """A cause distinguishes a missing field from a null field."""
    assert "input.video: found nothing, expected a text" == causes.of("input.video", {}, "a text")
    assert "video: found null, expected a text" == causes.of("video", {"video": None}, "a text")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"text/plain", 'Content-Type: found "text/plain", expected application/json'),
        (None, "Content-Type: found nothing, expected application/json"),
    ],
)
def test_header(value: bytes | None, expected: str) -> None:
    """The cause for a missing or wrong header names the header and its value."""
    assert expected == causes.header("Content-Type", value, "application/json")


ON_DISK = "a file on your own disk, which a provider cannot read"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("/home/me/a.mp4", f'"/home/me/a.mp4", {ON_DISK}'),
        ("C:\\clips\\a.mp4", f'"C:\\\\clips\\\\a.mp4", {ON_DISK}'),
        ("file:///home/me/a.mp4", f'"file:///home/me/a.mp4", {ON_DISK}'),
        ("FILE:/home/me/a.mp4", f'"FILE:/home/me/a.mp4", {ON_DISK}'),
        ("./a.mp4", f'"./a.mp4", {ON_DISK}'),
        ("~/a.mp4", f'"~/a.mp4", {ON_DISK}'),
        ("a.mp4", f'"a.mp4", {ON_DISK}'),
        ("ftp://a.example/b.mp4", 'the URL "ftp://a.example/b.mp4"'),
        ("c3RyaW5n", 'the text "c3RyaW5n" of 8 characters'),
        (
            "data:video/mp4;codecs=avc1,AAAA",
            'a data URL of 31 characters, "data:video/mp4;codecs=avc1"',
        ),
    ],
)
def test_source_of_a_video(source: str, expected: str) -> None:
    """The cause names the type of a video source that is no URL, and a local path as a file."""
    assert expected == causes.described(source)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:video/mp4;base64", "there is no comma before its data"),
        ("data:video/mp4,AAAA", "there is no ;base64 before its first comma"),
        (
            'data:video/mp4;codecs="avc1,mp4a";base64,AAAA',
            "there is no ;base64 before its first comma (a comma inside codecs=… ends the head)",
        ),
        (
            "data:video/mp4;base64;codecs=avc1,AAAA",
            ';base64 is followed by "codecs=avc1", expected it last before the comma',
        ),
        ("data:image/png;base64,AAAA", 'its media type is "image/png", expected video/…'),
    ],
)
def test_flaw_of_a_data_url(url: str, expected: str) -> None:
    """The cause for an invalid data URL names the wrong part of its head."""
    assert expected == causes.data_url_flaw(url)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data:video/mp4,AAAA", "there is no ;base64 before its first comma"),
        ("data:video/mp4;base64,AA*A", '"*" at character 25 is not base64'),
        ("AA-A", '"-" at character 3 is not base64'),
        ("A" * (1 << 18) + "*", "after 262144 characters it is not base64, or badly padded"),
        ("AAA", "its base64 is empty, or has a wrong length or padding"),
    ],
)
def test_flaw_of_base64(text: str, expected: str) -> None:
    """The cause names the first character outside the base64 alphabet, with its place."""
    assert expected == causes.base64_flaw(text)


def test_urls_lose_user_and_query() -> None:
    """A cause shows a URL without its user, password and query."""
    found = causes.wrong("video", "https://me:pass@a.example/b.mp4?token=abc&x=1", "a text")
    assert "pass" not in found
    assert "abc" not in found
    assert "a.example/b.mp4" in found


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_causes_are_short_and_printable(value: Any) -> None:  # noqa: ANN401 - JSON
    """The cause for any value is one printable line of limited length."""
    found = causes.wrong_choice("field", value, FACTORS)
    assert found.isprintable()
    assert len(found) < 1_200


@given(st.text())
def test_any_text_as_a_video(text: str) -> None:
    """The cause for any text as a video is printable."""
    for start in ("", "data:", "https://", "/"):
        found = causes.video(start + text, "why")
        assert found.isprintable()
        assert f"{causes.base64_flaw(start + text)}{causes.data_url_flaw(text)}".isprintable()


def test_long_numbers_are_cut() -> None:
    """A cause shows only the first digits of a number with a thousand digits."""
    assert f"the number {'1' * causes.SHOWN}…" == causes.typed(int("1" * 1000))
