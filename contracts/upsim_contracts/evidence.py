"""Where a part of a document comes from: the nearest `x-source` on the way down to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from upsim_contracts.documents import Document

SOURCE = "x-source"
UNKNOWN = "no source given"


def at(document: Document, steps: Iterable[str | int]) -> str:
    """The source of the part that these steps lead to; references on the way are followed."""
    found = document.get(SOURCE, "")
    node: Any = document
    for step in steps:
        node = _follow(document, node) if step != "$ref" else node
        node = _child(document, node, step)
        if node is None:
            break
        if isinstance(node, dict):
            found = node.get(SOURCE) or _follow(document, node).get(SOURCE) or found
    return named(document, str(found))


def named(document: Document, source: str) -> str:
    """The title of a source, and what stands behind its key: `errors: row 3`."""
    key, colon, more = source.partition(":")
    title = document.get("x-sources", {}).get(key.strip())
    if title is None:
        return source or UNKNOWN
    return f"{title};{more}" if colon else str(title)


def resolve(document: Document, reference: str) -> Any:  # noqa: ANN401 - JSON
    """What a reference within the document points to."""
    node: Any = document
    for step in reference.removeprefix("#/").split("/"):
        node = node[step.replace("~1", "/").replace("~0", "~")]
    return node


def _follow(document: Document, node: Any) -> Any:  # noqa: ANN401 - JSON
    while isinstance(node, dict) and "$ref" in node and len(node) == 1:
        node = resolve(document, node["$ref"])
    return node


def _child(document: Document, node: Any, step: str | int) -> Any:  # noqa: ANN401 - JSON
    if step == "$ref":
        return resolve(document, node["$ref"]) if "$ref" in node else node
    if isinstance(node, list):
        return node[step] if isinstance(step, int) and step < len(node) else None
    return node.get(str(step)) if isinstance(node, dict) else None
