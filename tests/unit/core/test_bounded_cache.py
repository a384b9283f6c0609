"""The cache that drops its oldest entries."""

from __future__ import annotations

from upsim.core.bounded_cache import BoundedCache


def test_the_oldest_entry_is_dropped_first() -> None:
    """A full cache drops its oldest entry; a replaced entry keeps its age."""
    cache = BoundedCache[str, int](2)
    cache["a"] = 1
    cache["b"] = 2
    cache["a"] = 3
    assert {"a": 3, "b": 2} == cache

    cache["c"] = 4

    assert (None, {"b": 2, "c": 4}) == (cache.get("a"), dict(cache))


def test_an_entry_that_is_put_back_is_the_newest() -> None:
    """A cache entry that is removed and put back counts as the newest."""
    cache = BoundedCache[str, int](2)
    cache["a"], cache["b"] = 1, 2
    cache["a"] = cache.pop("a")

    cache["c"] = 3

    assert ["a", "c"] == list(cache)
