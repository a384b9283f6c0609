"""A limit on the globs of a scenario, because a request may be compared with each glob."""

from __future__ import annotations

from collections.abc import Iterator

from upsim.core.globs import excess
from upsim.scenario.yaml_tree import Found, Value, items, mapping


def glob_mistakes(root: Value) -> Found:
    """Yield a mistake if the globs of a file together are too many or too long."""
    said = excess(_globs(root))
    if said:
        yield (), said


def _globs(root: Value) -> Iterator[str]:
    found = mapping(root)
    for rule in items(found.get("media")):
        yield from _texts(mapping(rule).get("url"))
    for rule in (*items(found.get("jobs")), *items(found.get("faults"))):
        yield from _texts(mapping(rule).get("on"))
        for wanted in mapping(mapping(rule).get("when")).values():
            yield from _texts(wanted)


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
