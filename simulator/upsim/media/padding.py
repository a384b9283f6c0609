"""Zero bytes in any number, which take hardly any memory."""

from __future__ import annotations

_BLOCK = bytes(1 << 20)


def zeros(length: int) -> list[bytes]:
    """Parts of `length` bytes together, most of them the same object."""
    whole, rest = divmod(length, len(_BLOCK))
    return [*[_BLOCK] * whole, bytes(rest)]
