"""The cache that drops its oldest entries."""

from __future__ import annotations

from upsim.core.bounded_cache import BoundedCache


def test_the_oldest_entry_goes_first() -> None:
    """Beyond the bound the first entry is dropped; one that was replaced keeps its place."""
    cache = BoundedCache[str, int](2)
    cache["a"] = 1
    cache["b"] = 2
    cache["a"] = 3
    assert {"a": 3, "b": 2} == cache

    cache["c"] = 4

    assert (None, {"b": 2, "c": 4}) == (cache.get("a"), dict(cache))


def test_an_entry_that_was_taken_out_is_the_newest_again() -> None:
    """A reader that wants the least recently used to go takes entries out and puts them back."""
    cache = BoundedCache[str, int](2)
    cache["a"], cache["b"] = 1, 2
    cache["a"] = cache.pop("a")

    cache["c"] = 3

    assert ["a", "c"] == list(cache)
