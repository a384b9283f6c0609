"""The values of a scenario in an export: written as changes of a baseline, and restored."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from upsim.core.provider import Provider
from upsim.engine.exports import plain, unplain
from upsim.scenario.loader import Library, ScenarioError, built
from upsim.scenario.model import Scenario
from upsim.scenario.yaml_tree import MAX_DEPTH, Place, Tree, Value, dotted, mapping
from upsim.web.replay.export_document import ExportError

OVER, WITH = "$over", "$with"
"""The keys of values that are written as changes: a provider, and a merge patch (RFC 7396)."""


def shortened(library: Library, values: object) -> object:
    """Return values as changes of their baseline; unchanged if changes cannot express them."""
    provider = values.get("provider") if isinstance(values, dict) else None
    known = isinstance(provider, str) and provider in library.providers()
    base = plain(library.tree_of(provider)) if known and provider else None
    if base is None:
        return values
    patch = _patch(base, values)
    return {OVER: provider, WITH: patch} if _patched(base, patch) == values else values


def held(
    library: Library, providers: Mapping[str, Provider], name: str, values: object
) -> Scenario:
    """Return a scenario made of values, which are validated as those of a file.

    Unknown keys, for example of older versions, are left out. Raises ExportError.
    """
    if depth(values) > MAX_DEPTH:
        raise ExportError(
            f"the values of scenario {name!r} are nested more than {MAX_DEPTH} levels"
        )
    try:
        found = mapping(unplain(_whole(library, values)))
    except (ArithmeticError, TypeError) as error:
        raise ExportError(f"the values of scenario {name!r} hold a broken number") from error
    tree = Tree(found, {})
    mistakes = library.mistakes_in(tree, providers)
    unknown = {one.place for one in mistakes if one.message.startswith("unknown key")}
    if unknown:
        tree = Tree(mapping(_without(found, (), unknown)), {})
        mistakes = library.mistakes_in(tree, providers)
    if mistakes:
        raise ScenarioError(mistakes)
    return built(name, tree, Path())


def depth(value: object) -> int:
    """Return the number of nested levels of lists and mappings in a value."""
    level: list[object] = [value]
    found = 0
    while level:
        inner = [item for one in level if isinstance(one, dict) for item in one.values()]
        inner += [item for one in level if isinstance(one, list) for item in one]
        level, found = inner, found + 1
    return found


def _whole(library: Library, values: object) -> object:
    """Return the complete values for the result of `shortened`."""
    if not isinstance(values, Mapping) or values.keys() != {OVER, WITH}:
        return values
    provider = values[OVER]
    if not isinstance(provider, str) or provider not in library.providers():
        raise ExportError(f"there is no provider {str(provider)[:80]!r} here")
    return _patched(plain(library.tree_of(provider)), values[WITH])


def _patch(base: Any, value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the merge patch that turns the base into a value, if there is one."""
    if not isinstance(base, dict) or not isinstance(value, dict):
        return value
    gone = {name: None for name in base if name not in value}
    changed = {k: _patch(base.get(k), v) for k, v in value.items() if k not in base or base[k] != v}
    return {**gone, **changed}


def _patched(base: Any, patch: Any) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(patch, dict):
        return patch
    found = dict(base) if isinstance(base, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = _patched(found.get(name), value)
    return found


def _without(value: Value, place: Place, places: Collection[str]) -> Value:
    """Return a value without the parts at these places."""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if dotted((*place, key)) not in places}
        return {key: _without(item, (*place, key), places) for key, item in kept.items()}
    if isinstance(value, list):
        return [_without(item, (*place, i), places) for i, item in enumerate(value)]
    return value
