"""Videos that are sent as text: data URLs and bare base64, decoded up to a maximum size."""

from __future__ import annotations

import base64
import re

import msgspec

from upsim.core.causes import base64_flaw, scheme_of
from upsim.core.media import Unmeasurable
from upsim.core.percent_encoding import unescaped

_DATA_URL = re.compile(r"data:(?P<type>[^,;]*)(?P<parameters>(?:;[^,;]*)*),", re.IGNORECASE)
_WHITESPACE = str.maketrans("", "", " \t\r\n\f\v")
_MAX_HEAD_LENGTH = 1_024
_DEFAULT_TYPE = "text/plain"


class DataUrl(msgspec.Struct, frozen=True):
    """A decoded data URL: its media type in lower case, without parameters, and its bytes."""

    media_type: str
    data: bytes


def is_data_url(text: str) -> bool:
    """Return whether `text` begins like a data URL."""
    return text[:5].lower() == "data:"


def decode_data_url(text: str, limit: int) -> DataUrl | Unmeasurable:
    """Return the content of a data URL (RFC 2397) of at most `limit` bytes."""
    head = _DATA_URL.match(text, 0, _MAX_HEAD_LENGTH)
    if head is None:
        return Unmeasurable("not_a_video", "The data URL is not data:<type>[;base64],<data>.")
    body = text[head.end() :]
    if ";base64" in head["parameters"].lower():
        decoded = decode_base64(unescaped(body).decode("latin-1") if "%" in body else body, limit)
    else:
        decoded = _decode_percent(body, limit)
    if isinstance(decoded, Unmeasurable):
        return decoded
    return DataUrl(head["type"].strip().lower() or _DEFAULT_TYPE, decoded)


def decode_base64(text: str, limit: int) -> bytes | Unmeasurable:
    """Return the bytes of a base64 text, at most `limit`; whitespace is ignored.

    The size is checked before decoding. Only the standard alphabet with full padding is accepted.
    """
    scheme = scheme_of(text)
    if scheme:
        expected = "expected http, https or data, or base64 without a scheme"
        return Unmeasurable("not_decodable", f"its scheme is {scheme}, {expected}")
    if not text.isascii():  # taking white space out of such a text takes long
        return Unmeasurable("not_decodable", f"The base64 text is not valid: {base64_flaw(text)}.")
    compact = text.translate(_WHITESPACE)
    padding = len(compact[-2:]) - len(compact[-2:].rstrip("="))
    size = len(compact) * 3 // 4 - padding
    if size > limit:
        return _too_large(size, limit)
    try:
        return base64.b64decode(compact, validate=True)
    except ValueError:
        return Unmeasurable(
            "not_decodable", f"The base64 text is not valid: {base64_flaw(compact)}."
        )


def _decode_percent(text: str, limit: int) -> bytes | Unmeasurable:
    size = len(text) - 2 * text.count("%")
    if size > limit:
        return _too_large(size, limit)
    return unescaped(text)


def _too_large(size: int, limit: int) -> Unmeasurable:
    return Unmeasurable("too_large", f"The data are {size} bytes; at most {limit} are taken.")
