"""Data URLs and base64 text."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsim.core.media import Unmeasurable
from upsim.media.data_urls import DataUrl, decode_base64, decode_data_url, is_data_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data:video/mp4;base64,aGVsbG8=", DataUrl("video/mp4", b"hello")),
        ("DATA:Video/WebM;codecs=vp9;BASE64,aGVs\nbG8=", DataUrl("video/webm", b"hello")),
        ("data:video/mp4;base64,aGVsbG8%3D", DataUrl("video/mp4", b"hello")),
        ("data:,hello%20you", DataUrl("text/plain", b"hello you")),
    ],
)
def test_a_data_url_is_decoded(text: str, expected: DataUrl) -> None:
    """The type and content of a data URL are decoded, from base64 or percent-encoding."""
    assert expected == decode_data_url(text, 100)


@pytest.mark.parametrize("text", ["data:video/mp4", "http://x/y", "data", ""])
def test_invalid_data_urls_are_refused(text: str) -> None:
    """A data URL without a comma, or another scheme, is refused."""
    expected = Unmeasurable("not_a_video", "The data URL is not data:<type>[;base64],<data>.")
    assert expected == decode_data_url(text, 100)


@pytest.mark.parametrize(("text", "expected"), [("Data:x", True), ("https://x", False)])
def test_data_urls_are_recognised_by_their_scheme(text: str, *, expected: bool) -> None:
    """The scheme decides whether a URL is a data URL, in upper or lower case."""
    assert expected == is_data_url(text)


def test_whitespace_is_ignored() -> None:
    """Line breaks and spaces inside base64 are ignored."""
    assert decode_base64(" aGVs\r\n\tbG8= \n", 5) == b"hello"


@pytest.mark.parametrize("text", ["aGVsbG8", "aGVsbG8*", "aGVs-G8=", "a", "====", "aGVsbG8=é"])
def test_bad_base64_is_refused(text: str) -> None:
    """Base64 with a wrong alphabet or padding is refused as not decodable."""
    decoded = decode_base64(text, 100)
    assert isinstance(decoded, Unmeasurable)
    assert decoded.reason == "not_decodable"


def test_the_size_is_checked_before_decoding() -> None:
    """A data URL that is too long is refused before it is decoded, even if it is not base64."""
    expected = Unmeasurable("too_large", "The data are 750 bytes; at most 10 are taken.")
    assert expected == decode_base64("*" * 1_000, 10)


def test_too_large_a_percent_encoded_url_is_refused() -> None:
    """The size limit also applies to percent-encoded data URLs."""
    decoded = decode_data_url("data:," + "%41" * 11, 10)
    assert isinstance(decoded, Unmeasurable)
    assert decoded.reason == "too_large"


@given(st.binary(max_size=200))
def test_base64_is_decoded_at_the_limit(data: bytes) -> None:
    """Encoded bytes are decoded if the limit is exactly their size."""
    assert data == decode_base64(base64.b64encode(data).decode(), len(data))


@given(st.text(max_size=60))
def test_any_text_raises_nothing(text: str) -> None:
    """The data URL decoders raise no exception for any text."""
    decode_data_url("data:" + text, 20)
    decode_base64(text, 20)
