"""Find the operation for method and path, in a tree of path segments."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

import msgspec

from upsim.core.bounded_cache import BoundedCache
from upsim.core.provider import Operation, Provider


class Miss(msgspec.Struct, frozen=True):
    """No operation was found: `allowed` are the methods of the path, empty for an unknown path."""

    allowed: tuple[str, ...]


class _Node(msgspec.Struct):
    fixed: dict[str, _Node] = msgspec.field(default_factory=dict)
    any: _Node | None = None
    rest: dict[str, Operation] = msgspec.field(default_factory=dict)
    rest_name: str = ""
    any_name: str = ""
    operations: dict[str, Operation] = msgspec.field(default_factory=dict)


Found = tuple[Operation, Mapping[str, str]]
MAX_SUBMITS_KEPT = 1024


class Routes:
    """The routes of one provider; fixed segments win over `{name}`, and `{name}` over `{name*}`."""

    def __init__(self, provider: Provider) -> None:
        """Build the tree from the provider's operations and aliases."""
        self._root = _Node()
        self._aliases = tuple((f"{alias}/", real) for alias, real in provider.aliases.items())
        self._exact: dict[tuple[str, str], Found] = {}
        self._submits: BoundedCache[tuple[str, str], Found] = BoundedCache(MAX_SUBMITS_KEPT)
        for operation in provider.operations:
            self._add(operation)
            if "{" not in operation.path:
                self._exact[operation.method, operation.path] = (operation, {})

    def find(self, method: str, path: str) -> Found | Miss:
        """Return the operation and its path parameters."""
        key = (method, path)
        known = self._exact.get(key) or self._submits.get(key)
        if known is not None:
            return known
        for alias, real in self._aliases:
            if path.startswith(alias):
                path = f"{real}/{path[len(alias) :]}"
        segments = path.split("/")[1:]
        found = _straight(self._root, segments, method)
        if found is None:
            allowed: list[str] = []
            found = _walk(self._root, segments, 0, method, allowed)
            if found is None:
                return Miss(tuple(sorted(set(allowed))))
        if found[0].kind == "submit":
            self._keep(key, found)
        return found

    def _keep(self, key: tuple[str, str], found: Found) -> None:
        """Cache the operation of a submit: its path is always the same, each poll has its own."""
        self._submits[key] = found

    def _add(self, operation: Operation) -> None:
        node = self._root
        for segment in operation.path.split("/")[1:]:
            name = segment[1:-1]
            if segment.endswith("*}"):
                node.rest[operation.method] = operation
                node.rest_name = name[:-1]
                return
            if segment.startswith("{"):
                node.any = node.any or _Node()
                node.any_name = name
                node = node.any
            else:
                node = node.fixed.setdefault(segment, _Node())
        node.operations[operation.method] = operation


Models = Callable[[str], Container[str]]
"""Returns the names of the models of a provider."""


def serving(
    providers: Mapping[str, Provider], method: str, path: str, models: Models
) -> dict[str, bool]:
    """Return the providers that have a path; the value is whether they accept the method there.

    A path that only fits `{model*}` counts if the provider has a model with this name.
    """
    found: dict[str, bool] = {}
    for name, provider in providers.items():
        routes = Routes(provider)
        miss = routes.find(method, path)
        methods = miss.allowed if isinstance(miss, Miss) else (method,)
        if any(_is_had(routes.find(one, path), models, name) for one in methods):
            found[name] = not isinstance(miss, Miss)
    return found


def _is_had(found: Found | Miss, models: Models, provider: str) -> bool:
    if isinstance(found, Miss) or found[0].refuses:
        return False
    operation, params = found
    rest = operation.path.rpartition("{")[2].removesuffix("*}")
    return (
        rest not in params or not operation.path.endswith("*}") or params[rest] in models(provider)
    )


def _straight(root: _Node, segments: list[str], method: str) -> Found | None:
    """Return the match without backtracking, which is the first that `_walk` would try."""
    node, params = root, {}
    for segment in segments:
        child = node.fixed.get(segment)
        if child is None:
            child = node.any
            if child is None or not segment:
                return None
            params[node.any_name] = segment
        node = child
    operation = node.operations.get(method)
    return None if operation is None else (operation, params)


def _walk(
    node: _Node, segments: list[str], at: int, method: str, allowed: list[str]
) -> Found | None:
    if at == len(segments):
        operation = node.operations.get(method)
        if operation is not None:
            return operation, {}
        allowed += _methods(node.operations)
        return None
    segment = segments[at]
    child = node.fixed.get(segment)
    found = _walk(child, segments, at + 1, method, allowed) if child else None
    if found is None and node.any is not None and segment:
        others = [] if allowed else allowed  # only fixed paths say what they allow
        found = _walk(node.any, segments, at + 1, method, others)
        if found is not None:
            return found[0], {**found[1], node.any_name: segment}
    if found is None and node.rest and segment and not allowed:
        operation = node.rest.get(method)
        if operation is not None:
            return operation, {node.rest_name: "/".join(segments[at:])}
        allowed += _methods(node.rest)
    return found


def _methods(operations: Mapping[str, Operation]) -> list[str]:
    return sorted(method for method, one in operations.items() if not one.refuses)
