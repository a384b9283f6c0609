"""JSON bodies: what is read, and why some are not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.unit.core.conftest import call
from upsim.core import json_bodies
from upsim.core.json_bodies import Malformed, decode, depth_over


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b'{"a": [1, "x", null]}', {"a": [1, "x", None]}),
        (b"[1.50]", [Decimal("1.50")]),
        (b"[1e-400, 0.0]", [Decimal(0), Decimal("0.0")]),
        (b'"' + b"x" * 300 + b'"', "x" * 300),
        (b'{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_a_document_is_read_exactly(body: bytes, document: object) -> None:
    """JSON numbers keep all their digits, and the last of two equal keys counts."""
    assert document == decode(body, {}, refuse_repeats=False)


@pytest.mark.parametrize(
    ("body", "headers", "reason", "detail"),
    [
        (b"{", {}, "syntax", "found text that is not JSON: Input data was truncated"),
        (b"[1e999]", {}, "syntax", "a number is out of range"),
        (b"{'a'}", {}, "syntax", '(byte 1), "\'" there'),
        (b" ", {}, "syntax", "found nothing (1 bytes), expected a JSON object"),
        (b"\xef\xbb\xbf{}", {}, "syntax", "found a UTF-8 byte-order mark (ef bb bf)"),
        (b"\xff\xfe{\0", {}, "syntax", "expected JSON in UTF-8"),
        (b"{\0}\0", {}, "syntax", "found text in UTF-16, expected JSON in UTF-8"),
        (b"--x", {}, "syntax", "found a multipart form, expected JSON"),
        (b"a=1", {}, "syntax", "found a form (name=value), expected JSON"),
        (b"\x1f\x8b", {}, "syntax", "found gzip data, expected JSON uncompressed"),
        (b"x", {b"content-encoding": b"br"}, "syntax", "Content-Encoding"),
        (b"x", {b"content-encoding": b"identity"}, "syntax", '(byte 0), "x" there'),
        (b'{"a": "\xff"}', {}, "encoding", "found text that is not JSON"),
        (b"[" * 100_000, {}, "too_deep", "the document is nested too deeply"),
        (b"[" * 129 + b"]" * 129, {}, "too_deep", "nested more than 128 deep"),
        (b"[" + b"1," * 200_000 + b"1]", {}, "too_large", "more than 100000 values"),
        (b'["' + rb"\\" * 500_001 + b'"]', {}, "too_large", "more than 1000000 backslashes"),
        (b"[" + b" " * 2**20 + b"]", {}, "too_large", "more than 1048576 bytes are no part"),
        (b'["' + b'","' * 2**20 + b'"]', {}, "too_large", "more than 100000 values"),
    ],
)
def test_a_malformed_body_has_a_reason(
    body: bytes, headers: dict[bytes, bytes], reason: str, detail: str
) -> None:
    """A malformed body gives a reason for the provider's error and a detail of what was found."""
    found = decode(body, headers, refuse_repeats=False)

    assert isinstance(found, Malformed)
    assert (reason, True) == (found.reason, detail in found.detail)


@pytest.mark.parametrize(
    ("body", "repeats"),
    [(b'{"a": 1, "a": 1}', True), (b'[{"a": {"b": 1}}, {"a": 1}]', False)],
)
def test_a_knob_refuses_repeated_keys(body: bytes, repeats: bool) -> None:  # noqa: FBT001
    """The knob `duplicate_keys` decides whether an object with a repeated key is refused."""
    found = decode(body, {}, refuse_repeats=True)

    assert repeats == (found == Malformed("syntax", "an object repeats a key"))
    assert not isinstance(call(body=body).json(), Malformed)


def test_long_texts_are_no_long_documents() -> None:
    """A long base64 video in a text is allowed, also with escaped quotes or without an end."""
    text = b'["a", "' + rb"\"" * 1000 + b"A" * 2**21 + rb"\\" + b'"]'

    assert not json_bodies.has_too_much_beside_texts(b"[1]")
    assert not json_bodies.has_too_much_beside_texts(text)
    assert not json_bodies.has_too_much_beside_texts(text[:-2])
    assert json_bodies.has_too_much_beside_texts(b'""' * 2**20)
    assert [1, 2**21 + 1001] == [len(one) for one in decode(text, {}, refuse_repeats=False)]  # type: ignore[attr-defined]  # a list


def test_depth_counts_containers() -> None:
    """The depth of a document counts its lists and objects; texts do not count."""
    assert (True, False, False) == (
        depth_over([{"a": [1]}], 2),
        depth_over([{"a": [1]}], 3),
        depth_over("text", 1),
    )
