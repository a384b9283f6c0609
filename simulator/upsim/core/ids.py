"""Ids in the forms that several providers use."""

from __future__ import annotations

_VERSION_4 = 0x4000_8000_0000_0000_0000
_NEITHER = ~0xF000_C000_0000_0000_0000


def uuid4_text(bits: int) -> str:
    """The UUID of version 4 that 128 random bits give, in its usual spelling."""
    digits = f"{bits & _NEITHER | _VERSION_4:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
