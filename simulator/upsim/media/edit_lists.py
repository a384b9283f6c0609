"""Edit lists of ISO 14496-12: which stored frames a player shows."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import chain, repeat, takewhile


def count_shown(times: array[int], offsets: array[int], *, start: int, end: int) -> int:
    """Return the number of samples with a composition time from `start` up to before `end`.

    All times are in media ticks. `times` contains the pairs of `stts` (count, delta),
    `offsets` the pairs of `ctts` (count, offset); `offsets` is empty if a track has no
    `ctts`. Only the samples near the two edges are checked one by one.
    """
    low, high = (min(offsets[1::2]), max(offsets[1::2])) if offsets else (0, 0)
    ticks = sum(count * delta for count, delta in _pairs(times))
    forward = zip(_starts(times), _each(offsets), strict=False)
    backward = zip(_starts_backward(times, ticks), _each(_reversed(offsets)), strict=False)
    early = takewhile(lambda sample: sample[0] < start - low, forward)
    late = takewhile(lambda sample: sample[0] >= end - high, backward)
    hidden = sum(at + offset < start for at, offset in early)
    hidden += sum(at + offset >= end for at, offset in late)
    return sum(times[::2]) - hidden


def _pairs(runs: array[int]) -> Iterator[tuple[int, int]]:
    return zip(runs[::2], runs[1::2], strict=True)


def _reversed(runs: array[int]) -> array[int]:
    """Return the pairs in reverse order."""
    pairs = reversed(list(_pairs(runs)))
    return array("q", chain.from_iterable(pairs))


def _each(runs: array[int]) -> Iterator[int]:
    """Yield the value of each sample; without runs, yield zeros endlessly."""
    if not runs:
        return repeat(0)
    return chain.from_iterable(repeat(value, count) for count, value in _pairs(runs))


def _starts(times: array[int]) -> Iterator[int]:
    """Yield the decoding time of each sample."""
    at = 0
    for delta in _each(times):
        yield at
        at += delta


def _starts_backward(times: array[int], end: int) -> Iterator[int]:
    """Yield the decoding time of each sample, from the last sample to the first."""
    for delta in _each(_reversed(times)):
        end -= delta
        yield end
