"""Files as text: what is base64, what is a data URI, what is a web address."""

import pytest

from upsim.providers.piapi.base64_files import Encoded, decoded, encoded, is_web_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AAAA", Encoded("", "AAAA")),
        ("data:video/mp4;base64,AAAA", Encoded("video/mp4", "AAAA")),
        ("DATA:Video/MP4;BASE64,AAAA", Encoded("video/mp4", "AAAA")),
        ("data:;base64,AAAA", Encoded("", "AAAA")),
        (
            "data:video/mp4;codecs=avc1;base64,AA%3D%3D",
            Encoded("video/mp4", "AA%3D%3D", escaped=True),
        ),
        ("data:video/mp4,AAAA", None),
        ("data:video/mp4;base64", None),
    ],
)
def test_base64_comes_bare_or_as_a_data_uri(text: str, expected: Encoded | None) -> None:
    """Bare base64 and a base64 data URI give the same text; another data URI gives None."""
    assert expected == encoded(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (Encoded("video/mp4", "aGVsbG8%3D", escaped=True), b"hello"),
    ]
    + [
        (Encoded("", text), data)
        for text, data in [
            ("aGVsbG8=", b"hello"),
            ("aGVs\r\nbG8=", b"hello"),
            ("", b""),
            ("aGVsbG8", None),
            ("?", None),
        ]
    ],
)
def test_base64_must_be_complete_but_may_be_wrapped(text: Encoded, expected: bytes | None) -> None:
    """Base64 may have line breaks, but no missing padding or other characters."""
    assert expected == decoded(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://127.0.0.1/a.mp4", True),
        ("HTTPS://example.com/a.mp4", True),
        ("ftp://example.com/a.mp4", False),
        ("string", False),
    ],
)
def test_web_addresses_are_http_or_https(text: str, expected: bool) -> None:  # noqa: FBT001 - a table
    """Only http and https URLs are fetched."""
    assert expected is is_web_address(text)
