"""Fields and headers of a response that the provider's document does not name.

An OpenAPI document allows unknown fields by default, so validation alone never reports a new
field. Here a schema that names fields is assumed to name all fields of its object.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from upsim_contracts.documents import document_sources
from upsim_contracts.documents.openapi import Document

Path = tuple[str | int, ...]
_BRANCHES = ("allOf", "anyOf", "oneOf")
_CONDITIONS = ("if", "then", "else")
_TRANSPORT = re.compile(
    r"accept-ranges|access-control-.+|age|allow|alt-svc|cache-control|connection|content-.+|"
    r"cross-origin-.+|date|etag|expires|keep-alive|last-modified|location|nel|origin-agent-cluster|"
    r"permissions-policy|pragma|priority|referrer-policy|report-to|reporting-endpoints|retry-after|"
    r"server|server-timing|set-cookie|strict-transport-security|trailer|transfer-encoding|upgrade|"
    r"vary|via|www-authenticate|traceparent|tracestate|"
    r"cf-.+|fly-.+|x-amz-.+|x-amzn-.+|x-azure-.+|x-cache.*|x-cloud-trace-context|"
    r"x-content-type-options|x-dns-prefetch-control|x-download-options|x-envoy-.+|x-frame-options|"
    r"x-permitted-.+|x-powered-by|x-railway-.+|x-render-.+|x-request-id|x-response-time|x-runtime|"
    r"x-served-by|x-timer|x-trace-id|x-vercel-.+|x-xss-protection"
)


def fields(document: Document, schema: object, value: object) -> Iterator[tuple[Path, object]]:
    """Yield each field that the schema does not name, with its value."""
    yield from _fields(document, [schema], value, ())


def headers(document: Document) -> frozenset[str]:
    """Return the headers that the document names anywhere, in lower case."""
    return frozenset(name.lower() for name in _named_headers(document))


def paths(document: Document, schema: object) -> frozenset[str]:
    """Return every field that a schema names, as a dotted path without positions in lists."""
    return frozenset(_paths(document, schema, "", ()))


def resolved(document: Document, node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a part of the document; if it is a reference, return the part that it refers to."""
    found = node
    while "$ref" in found:
        found = document_sources.resolve(document, found["$ref"])
    return found


def is_transport(header: str) -> bool:
    """Return whether servers, proxies or CDNs add this header by themselves."""
    return _TRANSPORT.fullmatch(header) is not None


def _fields(
    document: Document, schemas: Iterable[object], value: object, path: Path
) -> Iterator[tuple[Path, object]]:
    if not isinstance(value, list | Mapping):
        return
    parts = [part for schema in schemas for part in _parts(document, schema)]
    if isinstance(value, list):
        items = [part["items"] for part in parts if "items" in part]
        for number, one in enumerate(value):
            yield from _fields(document, items, one, (*path, number))
    else:
        named = {name for part in parts for name in (*_properties(part), *part.get("required", ()))}
        others = [part["additionalProperties"] for part in parts if "additionalProperties" in part]
        for name, inner in value.items():
            own = [_properties(part)[name] for part in parts if name in _properties(part)]
            if own or name in named or others:
                yield from _fields(document, own or others, inner, (*path, name))
            elif named:
                yield (*path, name), inner


def _paths(
    document: Document, schema: object, path: str, passed: tuple[object, ...]
) -> Iterator[str]:
    for part in _parts(document, schema):
        if any(part is one for one in passed):
            continue  # a schema that holds itself
        inside = (*passed, part)
        for name, inner in _properties(part).items():
            below = f"{path}.{name}" if path else name
            yield below
            yield from _paths(document, inner, below, inside)
        yield from _paths(document, part.get("items"), path, inside)


def _properties(part: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = part.get("properties", {})
    return found


def _parts(document: Document, schema: object) -> Iterator[Mapping[str, Any]]:
    """Yield a schema and all schemas that it refers to, combines or applies under a condition."""
    if not isinstance(schema, Mapping):
        return
    yield schema
    if "$ref" in schema:
        yield from _parts(document, document_sources.resolve(document, schema["$ref"]))
    for word in _BRANCHES:
        for one in schema.get(word, ()):
            yield from _parts(document, one)
    for word in _CONDITIONS:
        yield from _parts(document, schema.get(word))


def _named_headers(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        found = node.get("headers")
        if isinstance(found, Mapping):
            yield from found
        for inner in node.values():
            yield from _named_headers(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _named_headers(inner)
