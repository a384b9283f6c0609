"""The random source that a sandbox gives to providers and engine."""

from __future__ import annotations

from typing import Protocol


class RandomSource(Protocol):
    """A named, seeded stream of random bits."""

    def getrandbits(self, k: int, /) -> int:
        """A whole number of `k` random bits."""
