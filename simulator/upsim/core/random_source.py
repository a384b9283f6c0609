"""The random source that a sandbox gives to providers and engine."""

from __future__ import annotations

from typing import Protocol


class RandomSource(Protocol):
    """The random bits of one draw, which a seed decides."""

    def getrandbits(self, k: int, /) -> int:
        """Return the next `k` random bits as a whole number."""
