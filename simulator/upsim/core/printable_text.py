"""Make foreign text safe for a terminal: characters that are not printable are escaped."""

from __future__ import annotations

LINES = "\n\t"
"""What text of several lines keeps."""
_BMP = 0x10000


def printable(text: str, *, keep: str = "") -> str:
    """Escape control characters, bidi overrides and other characters without a shape.

    The escapes are those of JSON, so that a JSON document still means the same.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escape(ord(c)) for c in text)


def _escape(code: int) -> str:
    if code < _BMP:
        return f"\\u{code:04x}"
    high, low = divmod(code - _BMP, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
