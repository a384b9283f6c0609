"""Find the source of a part of a document: the nearest `x-source` on the path to that part."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from upsim_contracts.documents.openapi import Document

SOURCE = "x-source"
UNKNOWN = "no source given"


def source_at(document: Document, steps: Iterable[str | int]) -> str:
    """Return the source of the part at this path; references on the path are followed."""
    passed: list[Any] = [document]
    for step in steps:
        if not _enter(document, passed, step):
            break
    _enter(document, passed, None)
    sources = [node[SOURCE] for node in passed if isinstance(node, dict) and SOURCE in node]
    return source_title(document, str(sources[-1]) if sources else "")


def source_title(document: Document, source: str) -> str:
    """Return the title of a source and the text after its key, such as `errors: row 3`."""
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
    """Append the part at `step` to `passed`, following references; return False if there is none.

    With None, only references are followed.
    """
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
