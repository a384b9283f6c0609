"""The values of a scenario as what it changes of its baseline, and whole again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from upsim.core.baseline import BaselineError
from upsim.engine.exports import plain
from upsim.scenario.loader import Library

OVER, WITH = "$over", "$with"
"""The keys of values that are written as changes: a provider, and a merge patch (RFC 7396)."""


def shortened(library: Library, values: object) -> object:
    """Write values as changes of their baseline; as they are where changes cannot say it."""
    provider = values.get("provider") if isinstance(values, dict) else None
    known = isinstance(provider, str) and provider in library.providers()
    base = plain(library.tree_of(provider)) if known and provider else None
    if base is None:
        return values
    patch = _patch(base, values)
    return {OVER: provider, WITH: patch} if _patched(base, patch) == values else values


def whole(library: Library, values: object) -> object:
    """Put values that `shortened` wrote over their baseline. Raises BaselineError."""
    if not isinstance(values, Mapping) or values.keys() != {OVER, WITH}:
        return values
    provider = values[OVER]
    if not isinstance(provider, str) or provider not in library.providers():
        raise BaselineError(f"there is no provider {str(provider)[:80]!r} here")
    return _patched(plain(library.tree_of(provider)), values[WITH])


def _patch(base: Any, value: Any) -> Any:  # noqa: ANN401 - JSON
    """The merge patch that makes a value of the base, if there is one."""
    if not isinstance(base, dict) or not isinstance(value, dict):
        return value
    gone = dict.fromkeys(base.keys() - value.keys())
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
