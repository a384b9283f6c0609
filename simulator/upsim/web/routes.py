"""From method and path to an operation, by walking a tree of path segments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from upsim.core.provider import Operation, Provider


@dataclass(frozen=True, slots=True)
class Miss:
    """No operation: `allowed` are the methods of the path, empty for an unknown path."""

    allowed: tuple[str, ...]


@dataclass(slots=True)
class _Node:
    fixed: dict[str, _Node] = field(default_factory=dict)
    any: _Node | None = None
    rest: dict[str, Operation] = field(default_factory=dict)
    rest_name: str = ""
    any_name: str = ""
    operations: dict[str, Operation] = field(default_factory=dict)


Found = tuple[Operation, Mapping[str, str]]


class Routes:
    """The routes of one provider. Fixed segments win over `{name}`, and those over `{name*}`."""

    def __init__(self, provider: Provider) -> None:
        """Build the tree from the provider's operations and aliases."""
        self._root = _Node()
        self._aliases = tuple(provider.aliases.items())
        self._exact: dict[tuple[str, str], Found] = {}
        for operation in provider.operations:
            self._add(operation)
            if "{" not in operation.path:
                self._exact[operation.method, operation.path] = (operation, {})

    def find(self, method: str, path: str) -> Found | Miss:
        """The operation and its path parameters."""
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact
        for alias, real in self._aliases:
            if path.startswith(alias + "/"):
                path = real + path[len(alias) :]
        allowed: list[str] = []
        found = _walk(self._root, path.split("/")[1:], 0, method, allowed)
        return found or Miss(tuple(dict.fromkeys(allowed)))

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
        found = _walk(node.any, segments, at + 1, method, allowed)
        if found is not None:
            return found[0], {**found[1], node.any_name: segment}
    if found is None and node.rest and segment and not allowed:
        operation = node.rest.get(method)
        if operation is not None:
            return operation, {node.rest_name: "/".join(segments[at:])}
        allowed += _methods(node.rest)
    return found


def _methods(operations: Iterable[str]) -> list[str]:
    return sorted(operations)
