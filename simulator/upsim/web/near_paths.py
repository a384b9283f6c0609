"""Hints for unknown paths; most of these come from a wrong base URL or a misspelling.

A hint names the most similar path of the same provider, and other providers with exactly this
path. A path may contain a whole base URL of a provider, with scheme and host.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence

from upsim.core.baseline import Baseline
from upsim.core.nearest_names import closest
from upsim.core.provider import Kind, Provider
from upsim.web.routes import Models, serving

COMPARED = 16
"""Number of segments at the end of a path that are compared."""
READ = 2_000
"""Number of characters at the end of a path that are read."""
ALIKE = 0.5
"""Minimum weighted similarity of two paths for a suggestion."""
ADMIN = "__sim"
_SAYS_NOTHING = re.compile(r"api|v[0-9]+", re.ASCII)
"""Segments that many paths have in common."""
_PASTED = re.compile(r"/+(https?:/+)?([^/]{1,255})(.*)", re.ASCII | re.IGNORECASE | re.DOTALL)
"""A path that begins with a scheme and a host, or with a host alone."""
_FREELY: Sequence[Kind] = ("submit", "upload", "write", "read", "poll")
"""Kinds of operations, the most harmless last."""
Served = tuple[str, Kind, list[str]]
_UNLIKE = (False, 0.0)
_LITTLE, _PARAMETER, _MISSPELT = 0.1, 0.5, 0.55


def hint(
    provider: Provider,
    baseline: Baseline,
    method: str,
    path: str,
    *,
    others: Mapping[str, Provider],
    models: Models,
) -> str:
    """Return a semicolon and the path that was probably meant; empty if none is similar."""
    if not path.strip("/"):
        return "; this is the base URL: requests go to paths below it"
    path = pasted(path, baseline.hosts)[1]
    segments = _segments(path)
    if ADMIN in segments:
        return f"; the admin API is below /{ADMIN} at the server's root, not below a provider"
    served = [*_served(provider, baseline)]
    first = "" if path[:2] == "//" else path[1:].partition("/")[0]
    known = parts_of(provider, baseline)
    dialect = "" if first in known else closest(first, baseline.dialects)
    rest = segments[1:] if dialect else segments
    near = [] if dialect and not rest else _meant(rest, method, served)[1]
    if dialect and (near or not rest):
        near = [dialect, *near]
    meant = f"; did you mean /{'/'.join(near)}?" if near else ""
    foreign = {name: other for name, other in others.items() if name != provider.name}
    had = serving(foreign, method, path, models)
    by_name = [name for name, right in had.items() if right or not near]
    return "".join([meant, *(f"; {name} has this path" for name in by_name)])


def pasted(path: str, hosts: Container[str]) -> tuple[str, str]:
    """Return the host at the start of a path, or an empty text, and the path after it.

    Without a scheme, only the given names count as hosts.

    >>> pasted("/https://api.example/v1", ()), pasted("/api.example/v1", ["api.example"])
    (('api.example', '/v1'), ('api.example', '/v1'))
    >>> pasted("/api/v1", ["api.example"])
    ('', '/api/v1')
    """
    found = _PASTED.fullmatch(path)
    host = found[2].lower() if found else ""
    if found is None or not (found[1] or host in hosts):
        return "", path
    return host, found[3] or "/"


def nearest(
    provider: Provider, baseline: Baseline, method: str, path: str
) -> tuple[tuple[bool, float], str]:
    """Return the most similar path that the provider serves, and its similarity.

    The path is empty if none is similar.
    """
    rating, near = _meant(_segments(path), method, [*_served(provider, baseline)])
    return rating, f"/{'/'.join(near)}" if near else ""


def parts_of(provider: Provider, baseline: Baseline) -> set[str]:
    """Return the segments of all paths that the provider serves."""
    return {part for *_, one in _served(provider, baseline) for part in one}


def is_base(path: str) -> bool:
    """Return whether a path is only the end of a base URL, such as `/api/v1`."""
    return all(map(_SAYS_NOTHING.fullmatch, _segments(path)))


def same_method(provider: Provider, baseline: Baseline, method: str, path: str) -> str:
    """Return a similar path that accepts the method, if this path does not; else an empty text."""
    served = [pair for pair in _served(provider, baseline) if pair[0] == method]
    near = _nearest(_segments(path), method, served)[1]
    return f"; did you mean {method} /{'/'.join(near)}?" if near else ""


def _served(provider: Provider, baseline: Baseline) -> Iterator[Served]:
    """Yield method, kind and segments of each served path, with one path for each model."""
    for one in provider.operations:
        if one.refuses:
            continue
        head, _, last = one.path.rpartition("/")
        names_a_model = last.endswith("*}") and one.kind == "submit"
        for end in baseline.models if names_a_model else [last]:
            yield one.method, one.kind, [part for part in f"{head}/{end}".split("/") if part]


def _segments(path: str) -> list[str]:
    return [one for one in path[-READ:].split("/") if one][-COMPARED:]


def _meant(
    path: Sequence[str], method: str, served: Sequence[Served]
) -> tuple[tuple[bool, float], list[str]]:
    """Return the most similar path; for the end of a base URL, the first path starting with it."""
    if not all(map(_SAYS_NOTHING.fullmatch, path)):
        return _nearest(path, method, served)
    rated = [((takes == method, len(path)), one) for takes, _, one in served]
    within = [pair for pair in rated if pair[1][: len(path)] == [*path]]
    rest = [((takes, 0), one) for (takes, _), one in rated]
    return max(within or rest, key=lambda pair: pair[0], default=(_UNLIKE, []))


def _nearest(
    path: Sequence[str], method: str, served: Sequence[Served]
) -> tuple[tuple[bool, float], list[str]]:
    """Return the most similar served path, preferably one that accepts the method.

    Among equally similar paths, the most similar spelling comes first, then a poll. Paid
    operations come last.
    """
    rated = [
        (takes == method, round(_alike(path, one), 6), _FREELY.index(kind), one)
        for takes, kind, one in served
    ]
    near = [rating for rating in rated if rating[1] >= ALIKE]
    if not near:
        return _UNLIKE, []
    best = max(rating[:2] for rating in near)
    tied = [rating for rating in near if rating[:2] == best]
    spelt = {"/".join(one): one for *_, one in tied if len(one) == len(path)}
    freest = max(tied, key=lambda rating: rating[2])[3]
    return best, spelt.get(closest("/".join(path), spelt), freest)


def _alike(path: Sequence[str], served: Sequence[str]) -> float:
    """Return the similarity of two paths from 0 to 1; the order of segments matters.

    `api` and versions count little. Paths that have only these segments in common are not similar.
    """
    best = [0.0] * (len(served) + 1)  # best similarity of the beginnings, by the length of `served`
    for ours in path:
        before = best
        best = [0.0]
        for at, theirs in enumerate(served, 1):
            same = before[at - 1] + _same(ours, theirs)
            best.append(max(same, before[at], best[at - 1]))
    return 2 * best[-1] / (sum(map(_weight, path)) + sum(map(_weight, served)) or 1)


def _same(ours: str, theirs: str) -> float:
    """Return the weight of two segments that are equal or nearly equal; else 0."""
    if ours == theirs or theirs[0] == "{":
        return _weight(theirs)
    return _weight(theirs) * _MISSPELT if closest(ours, [theirs]) else 0


def _weight(segment: str) -> float:
    if segment[0] == "{":
        return _PARAMETER
    return _LITTLE if _SAYS_NOTHING.fullmatch(segment) else 1
