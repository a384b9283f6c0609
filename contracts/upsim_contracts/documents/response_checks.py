"""Check single responses against the provider's document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from typing import Any

from upsim_contracts.cassettes.bounded_json import parsed
from upsim_contracts.documents import document_sources, undocumented
from upsim_contracts.documents.openapi import GUIDE, Document, document, parts
from upsim_contracts.documents.schemas import Schemas, SchemaViolation, shown
from upsim_contracts.findings import Finding

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
MAX_FINDINGS = 50
"""Maximum differences that are reported for the headers of a response, and for its body."""
REFUSED = 400
"""The least status of a refusal."""
_CONDITIONS = frozenset({"then", "else"})
"""Rules that depend on another field: they are looked at when all others hold."""
_ID = re.compile(r'"[A-Za-z0-9_-]{8,}"')
_BEGINNING = 24
"""Characters of an id by which it is known; a long text is shown without its end."""
_PARAMETER = re.compile(r"\{[^}]+\}")
_REMEMBERED = 512
"""Responses whose findings a contract keeps: a client that polls gets the same one many times."""
_MAX_REMEMBERED_LENGTH = 4096
"""Bytes of the body of such a response."""


@dataclass(frozen=True, slots=True)
class DocumentedOperation:
    """A method and a path of a document; `name` is the text for people."""

    id: str
    method: str
    path: str
    pattern: re.Pattern[str]
    definition: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Method and path as the document writes them."""
        return f"{self.method} {self.path}"


class Contract:
    """One document of a provider, prepared to check responses."""

    def __init__(self, provider: str, found: Document) -> None:
        """Read the operations; validators are compiled when first needed."""
        self.provider = provider
        self.document = found
        self._schemas = Schemas(found)
        self._headers_named = undocumented.headers(found)
        self.operations = {one.id: one for one in _operations(found)}
        # A path without parameters wins over one with them, as in OpenAPI.
        self._by_path = sorted(self.operations.values(), key=lambda one: one.path.count("{"))
        self._remembered = lru_cache(_REMEMBERED)(self._compared)

    def find(self, method: str, path: str) -> DocumentedOperation | None:
        """Return the operation for a method and a path without its query."""
        bare = path.partition("?")[0]
        for one in self._by_path:
            if one.method == method.upper() and one.pattern.fullmatch(bare):
                return one
        return None

    def check_request(
        self, operation: DocumentedOperation, document: object
    ) -> Iterator[SchemaViolation]:
        """Yield every rule of the document that a request's JSON body violates."""
        steps: tuple[str, ...] = ("requestBody", "content", "application/json", "schema")
        body = operation.definition.get("requestBody", {})
        if "schema" in body.get("content", {}).get("application/json", {}):
            place = ("paths", operation.path, operation.method.lower(), *steps)
            yield from self._schemas.all_differences(document_sources.pointer(place), document)

    def check(
        self, operation: DocumentedOperation, status: int, headers: Mapping[str, str], body: bytes
    ) -> list[Finding]:
        """Return the differences between a response to this operation and the document."""
        compared = self._remembered if len(body) <= _MAX_REMEMBERED_LENGTH else self._compared
        return list(compared(operation.id, status, tuple(headers.items()), body))

    def _compared(
        self, name: str, status: int, headers: tuple[tuple[str, str], ...], body: bytes
    ) -> tuple[Finding, ...]:
        """Compare a response to the operation of this name with the document."""
        operation = self.operations[name]
        responses = operation.definition["responses"]
        key = str(status) if str(status) in responses else "default"
        place = ("paths", operation.path, operation.method.lower(), "responses")
        if key not in responses:
            known = f"one of {', '.join(responses)}"
            source = document_sources.source_at(self.document, place)
            return (Finding(self.provider, operation.name, "status", known, str(status), source),)
        response = responses[key]
        steps: tuple[str, ...] = (*place, key)
        while "$ref" in response:
            steps = tuple(response["$ref"].removeprefix("#/").split("/"))
            response = document_sources.resolve(self.document, response["$ref"])
        name = f"{operation.name} {status}"
        lower = {header.lower(): value for header, value in headers}
        found = [*islice(self._headers(name, response, steps, lower), MAX_FINDINGS)]
        differences = self.content(name, response, steps, lower.get("content-type", ""), body)
        inside = [*islice(differences, MAX_FINDINGS)]
        return (*found, *_without_links(inside))

    def _headers(
        self,
        name: str,
        response: Mapping[str, Any],
        steps: tuple[str, ...],
        seen: Mapping[str, str],
    ) -> Iterator[Finding]:
        for header, given in response.get("headers", {}).items():
            definition, place = given, (*steps, "headers", header)
            while "$ref" in definition:
                place = tuple(definition["$ref"].removeprefix("#/").split("/"))
                definition = document_sources.resolve(self.document, definition["$ref"])
            value = seen.get(header.lower())
            if value is not None:
                typed = _typed(value, definition["schema"].get("type"))
                yield from self.values(name, (*place, "schema"), typed, f"header {header}")
            elif definition.get("required"):
                source = document_sources.source_at(self.document, place)
                yield Finding(
                    self.provider, name, f"header {header}", "this header", "none", source
                )
        source = document_sources.source_at(self.document, steps)
        for header, value in seen.items():
            if header not in self._headers_named and not undocumented.is_transport(header):
                where, told = f"header {header}", shown(value)
                yield Finding(self.provider, name, where, "no such header", told, source)

    def content(
        self,
        name: str,
        response: Mapping[str, Any],
        steps: tuple[str, ...],
        content_type: str,
        body: bytes,
    ) -> Iterator[Finding]:
        """Yield a body's differences from the `content` of a response or request at these steps."""
        contents = response.get("content")
        if not contents:
            return
        media_type = content_type.partition(";")[0].strip().lower()
        source = document_sources.source_at(self.document, (*steps, "content"))
        if media_type not in contents:
            known, where = " or ".join(contents), "header Content-Type"
            yield Finding(self.provider, name, where, known, shown(content_type), source)
        elif "schema" in contents[media_type]:
            value: object = body.decode("utf-8", "replace")
            if media_type == "application/json":
                document = parsed(body)
                if document is None:
                    yield Finding(self.provider, name, "body", "JSON", shown(value), source)
                    return
                value = document[0]
            place = (*steps, "content", media_type, "schema")
            yield from self.values(name, place, value, "")

    def values(
        self, name: str, steps: tuple[str, ...], value: object, where: str
    ) -> Iterator[Finding]:
        """Yield a value's differences from the schema at these steps."""
        told = set()
        seen = self._schemas.differences(document_sources.pointer(steps), value)
        differences = [*islice(seen, MAX_FINDINGS)]
        plain = [one for one in differences if not _CONDITIONS.intersection(one.rule)]
        for found in plain or differences:
            source = document_sources.source_at(self.document, (*steps, *found.rule))
            place = where or _dotted(found.path) or "body"
            told.add(place)
            yield Finding(self.provider, name, place, found.expected, found.seen, source)
        schema = document_sources.resolve(self.document, f"#{document_sources.pointer(steps)}")
        for path, stranger in undocumented.fields(self.document, schema, value):
            place = _dotted(path)
            if place not in told:
                source = document_sources.source_at(self.document, steps)
                yield Finding(self.provider, name, place, "no such field", shown(stranger), source)


@cache
def contract(provider: str, dialect: str = GUIDE, part: str = "") -> Contract:
    """Return the contract of a provider under a dialect, cached. Raises NoContractError."""
    return Contract(provider, document(provider, dialect, part))


def operation_of(
    provider: str, dialect: str, method: str, path: str
) -> tuple[Contract, DocumentedOperation] | None:
    """Return the document and the operation of a request; None if the operation is unknown."""
    for part in parts(provider):
        one = contract(provider, dialect, part)
        operation = one.find(method, path)
        if operation is not None:
            return one, operation
    return None


def check_response(
    provider: str,
    dialect: str,
    *,
    method: str,
    path: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
) -> list[Finding]:
    """Return a response's differences from the provider's document; an empty list if none.

    `path` is the provider's own, without prefix or sandbox. An undocumented path or method is a
    finding only if the provider accepts the request. A refused request to such a path is a mistake
    of the caller.
    """
    place = operation_of(provider, dialect, method, path)
    if place is not None:
        one, operation = place
        return one.check(operation, status, headers, body)
    if status >= REFUSED:
        return []
    seen = f"{method.upper()} {path.partition('?')[0]}"
    known = "a documented operation"
    return [Finding(provider, seen, "request", known, "none", document_sources.UNKNOWN)]


def _without_links(found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield findings, except those that follow from an id with a finding of its own."""
    ids = [
        one.seen.strip('"')[:_BEGINNING]
        for one in found
        if one.expected.startswith("a text like ") and _ID.fullmatch(one.seen)
    ]
    for one in found:
        if _ID.fullmatch(one.seen) or not any(begun in one.seen for begun in ids):
            yield one


def _operations(found: Document) -> Iterator[DocumentedOperation]:
    for path, item in found["paths"].items():
        pieces = [re.escape(piece) for piece in _PARAMETER.split(path)]
        pattern = re.compile("[^/]+".join(pieces))
        for method, definition in item.items():
            if method in METHODS:
                name = definition["operationId"]
                yield DocumentedOperation(name, method.upper(), path, pattern, definition)


def _typed(value: str, wanted: str | None) -> object:
    """Return a header's value as an integer if the schema expects an integer, else as text."""
    spelt = wanted == "integer" and re.fullmatch(r"-?\d{1,18}", value)
    return int(value) if spelt else value


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(map(str, path))
