"""Explain why a body is not JSON: the likely cause, besides the position of the error."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping

from upsim.core import causes

_AT_BYTE = re.compile(r"\(byte ([0-9]{1,18})\)")
_UTF_8 = "UTF-8"
_MARKS = (
    (codecs.BOM_UTF8, _UTF_8),
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_GZIP = b"\x1f\x8b"
_FORM = re.compile(rb"[A-Za-z0-9_.%+-]{1,100}=")


def flaw(body: bytes, headers: Mapping[bytes, bytes], error: str) -> str:
    """Return a sentence about a body in which a parser found this error."""
    return _of_encoding(body, headers) or _of_start(body) or _of_byte(body, error)


def _of_encoding(body: bytes, headers: Mapping[bytes, bytes]) -> str:
    encoding = headers.get(b"content-encoding", b"").strip()
    if encoding and encoding.lower() != b"identity":
        return causes.header("Content-Encoding", encoding, "no such header: send JSON uncompressed")
    if body.startswith(_GZIP):
        return "found gzip data, expected JSON uncompressed"
    return ""


def _of_start(body: bytes) -> str:
    if not body.strip():
        return f"found nothing ({len(body)} bytes), expected a JSON object"
    for mark, name in _MARKS:
        if body.startswith(mark):
            wanted = "JSON without one" if name == _UTF_8 else f"JSON in {_UTF_8}"
            return f"found a {name} byte-order mark ({mark.hex(' ')}), expected {wanted}"
    if body[:2].count(b"\0") == 1:  # an ASCII character in two bytes
        return f"found text in UTF-16, expected JSON in {_UTF_8}"
    if body.startswith(b"--"):
        return "found a multipart form, expected JSON"
    return "found a form (name=value), expected JSON" if _FORM.match(body) else ""


def _of_byte(body: bytes, error: str) -> str:
    found = _AT_BYTE.search(error)
    if found is None:
        return f"found text that is not JSON: {error}"
    at = int(found[1])
    byte = causes.quoted(body[at : at + 1].decode("latin-1"))
    return f"found text that is not JSON: {error}, {byte} there"
