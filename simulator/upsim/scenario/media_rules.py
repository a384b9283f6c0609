"""The section `media`: check the result of each rule, and find URLs that no rule can match."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from upsim.core.globs import fits, flaw
from upsim.core.suggestions import shown
from upsim.scenario.yaml_tree import Found, Place, Value, items, mapping

_FOUND_BY = ("duration", "file", "unreachable", "not_a_video")


def media_mistakes(rules: Value, broken: Collection[Place]) -> Found:
    """Yield the mistakes in the rules; places in `broken` already have a mistake of the schema."""
    above: list[str] = []
    for i, rule in enumerate(items(rules)):
        place: Place = ("media", i)
        given = [key for key in _FOUND_BY if key in mapping(rule)]
        misspelt = any(found[:2] == place for found in broken)
        if len(given) > 1 or not (given or misspelt):
            found = f"has {' and '.join(given)}" if given else "has none"
            yield place, f"a rule needs one of {', '.join(_FOUND_BY)}; this one {found}"
        url = mapping(rule).get("url")
        wrong = flaw(url) if isinstance(url, str) else ""
        if wrong:
            yield (*place, "url"), f"{shown(url)} is not a valid glob: {wrong}"
        taken = _taken_by(url, above) if isinstance(url, str) else None
        if taken is not None:
            said = "has this pattern" if above[taken] == url else f"matches all of {above[taken]!r}"
            yield (
                (*place, "url"),
                f"this rule can never match: media[{taken}] {said}; move this rule before it",
            )
        above.append(url if isinstance(url, str) else "")


def _taken_by(url: str, above: Sequence[str]) -> int | None:
    """Return the index of an earlier rule whose glob matches all URLs of this rule; else None."""
    return next((i for i, glob in enumerate(above) if _covers(glob, url)), None)


def _covers(glob: str, url: str) -> bool:
    """Return whether `glob` matches everything that the glob `url` matches.

    Character sets and `?` must be identical in both globs.
    """
    plain = not {"?", "["} & {*glob} and "[" not in url
    return glob == url or (plain and bool(glob) and fits(url, glob))
