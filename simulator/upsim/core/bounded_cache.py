"""A cache with a maximum size."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedCache(OrderedDict[K, V]):
    """A dictionary of at most `most` entries; the oldest entry is dropped first.

    Reading is as fast as with any dictionary. Threads may share the cache, because adding and
    dropping an entry is one call each. Add entries by `cache[key] = value` only.
    """

    __slots__ = ("_most",)

    def __init__(self, most: int) -> None:
        """Start with an empty cache of at most `most` entries."""
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        """Add or replace an entry, and drop the oldest beyond the bound."""
        super().__setitem__(key, value)
        if len(self) > self._most:
            self.popitem(last=False)
