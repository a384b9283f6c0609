"""Hints for paths that no operation serves: most come from a wrong base URL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from upsim.core.baseline import Baseline
from upsim.core.nearest import closest
from upsim.core.provider import Provider

COMPARED = 16
"""Segments at the end of a path that are compared."""

BASE = 3
"""Segments of a path that is more than a base URL."""


def hint(provider: Provider, baseline: Baseline, method: str, path: str) -> str:
    """The served path that goes on or has the longest common end, or a misspelt dialect."""
    segments = [one for one in path[-2000:].split("/") if one][-COMPARED:]
    served = [*_served(provider, baseline, method)]
    longer = [one for one in served if one[: len(segments)] == segments != one]
    if len(segments) >= BASE and longer:
        return f"; did you mean /{'/'.join(longer[0])}?"
    best = max(served, key=lambda one: _common(segments, one), default=[])
    tail = _common(segments, best)
    first = "" if path[:2] == "//" else path[1:].partition("/")[0]
    parts = {part for one in served for part in one}
    dialect = "" if first in parts else closest(first, baseline.dialects)
    found = f"; /{'/'.join(best)} is served" if tail else ""
    if dialect and (not tail or segments[1:] == best):
        found += f"; did you mean the dialect /{dialect}?"
    if not found:
        others = [one for one in served if path.count("/") > 1]
        as_long = ["/" + "/".join(one) for one in others if len(one) == len(segments)]
        near = closest(path, as_long) or closest(path, ["/" + "/".join(one) for one in others])
        found = f"; did you mean {near}?" if near else ""
    return found


def _served(provider: Provider, baseline: Baseline, method: str) -> Iterator[list[str]]:
    """The segments of each served path, those of the method first."""
    known = [one for one in provider.operations if not one.refuses]
    for one in sorted(known, key=lambda one: one.method != method):
        head, _, last = one.path.rpartition("/")
        names_a_model = last.endswith("*}") and one.kind == "submit"
        for end in baseline.models if names_a_model else [last]:
            yield [part for part in f"{head}/{end}".split("/") if part]


def _common(path: Sequence[str], served: Sequence[str]) -> int:
    """How many segments the ends have in common; a parameter alone is none."""
    pairs: Iterable[tuple[str, str]] = zip(reversed(path), reversed(served), strict=False)
    same = [*takewhile(lambda pair: pair[0] == pair[1] or pair[1][0] == "{", pairs)]
    return len(same) if any(ours[0] != "{" for _, ours in same) else 0
