"""Find the source of a part of a document: the nearest `x-source` on the way down to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from upsim_contracts.documents.openapi import Document

SOURCE = "x-source"
UNKNOWN = "no source given"


def source_at(document: Document, steps: Iterable[str | int]) -> str:
    """The source of the part that these steps lead to; references on the way are followed."""
    passed: list[Any] = [document]
    for step in steps:
        if not _enter(document, passed, step):
            break
    _enter(document, passed, None)
    sources = [node[SOURCE] for node in passed if isinstance(node, dict) and SOURCE in node]
    return source_title(document, str(sources[-1]) if sources else "")


def source_title(document: Document, source: str) -> str:
    """Return the title of a source, with what follows its key: `errors: row 3`."""
    key, colon, more = source.partition(":")
    title = document.get("x-sources", {}).get(key.strip())
    if title is None:
        return source or UNKNOWN
    return f"{title};{more}" if colon else str(title)


def resolve(document: Document, reference: str) -> Any:  # noqa: ANN401 - JSON
    """Return the part of the document to which a reference within it points."""
    node: Any = document
    for step in reference.removeprefix("#/").split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        node = node[int(name)] if isinstance(node, list) else node[name]
    return node


def pointer(steps: Iterable[str]) -> str:
    """Return the JSON pointer of a place in a document."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def _enter(document: Document, passed: list[Any], step: str | int | None) -> bool:
    """Go one step on from the last of `passed`, through references if need be; None: only those."""
    while True:
        node = passed[-1]
        if isinstance(node, list) and str(step).isdecimal() and int(str(step)) < len(node):
            passed.append(node[int(str(step))])
            return True
        if isinstance(node, dict) and step is not None and str(step) in node:
            passed.append(node[str(step)])
            return True
        if not isinstance(node, dict) or "$ref" not in node:
            return False
        passed.append(resolve(document, node["$ref"]))
