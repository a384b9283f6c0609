"""Ids in the forms that several providers use."""

from __future__ import annotations

_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The digit that holds the variant, of which the two lower bits are random."""


def uuid4_text(bits: int) -> str:
    """Return the UUID of version 4 with these 128 random bits, in its usual spelling."""
    text = f"{bits:032x}"
    variant = _VARIANTS[text[16]]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"
