"""Zero bytes for padding of any length, which use hardly any memory."""

from __future__ import annotations

_BLOCK = bytes(1 << 20)


def zeros(length: int) -> list[bytes]:
    """Return pieces with `length` bytes in total; most pieces are the same object."""
    whole, rest = divmod(length, len(_BLOCK))
    return [*[_BLOCK] * whole, bytes(rest)]
