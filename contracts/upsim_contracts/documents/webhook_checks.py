"""Check webhooks against a provider's document: the URL in a request, and the delivery.

OpenAPI describes both in `callbacks`: the key is an expression for a place in the request. The
operation under that key has the headers and the body of a delivery.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote, unquote_plus

from upsim_contracts.documents import document_sources
from upsim_contracts.documents.response_checks import Contract, DocumentedOperation, operation_of
from upsim_contracts.documents.undocumented import resolved
from upsim_contracts.expected_responses import at
from upsim_contracts.findings import Finding

WEBHOOK_OF = "webhook of "
"""What a finding about a delivery says before the operation whose request asked for it."""
Signature = str
"""`valid`, `invalid`, `missing`, or `unchecked` if no secret was given."""
_EXPRESSION = re.compile(r"\{\$request\.(?:query\.(?P<query>[\w-]+)|body#/(?P<body>[\w/-]+))\}")


@dataclass(frozen=True, slots=True)
class Callback:
    """The delivery that a provider posts to a URL in a request's query or JSON body."""

    contract: Contract
    operation: DocumentedOperation
    steps: tuple[str, ...]
    query: str
    body: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the webhook in findings."""
        return f"{WEBHOOK_OF}{self.operation.name}"

    def urls(self, path: str, document: object) -> list[str]:
        """Return the URLs in a request, from the query parameter or the field of the body."""
        if self.query:
            pairs = [pair.partition("=") for pair in path.partition("?")[2].split("&")]
            return [unquote_plus(v) for k, _, v in pairs if unquote_plus(k) == self.query]
        found = at(document, ".".join(self.body))
        return [found] if isinstance(found, str) else []

    def renamed(self, path: str, document: Any, new: Mapping[str, str]) -> tuple[str, Any]:  # noqa: ANN401 - JSON
        """Return the request with replaced webhook URLs; everything else is unchanged."""
        if self.query:
            bare, mark, query = path.partition("?")
            pairs = [self._pair(pair, new) for pair in query.split("&")]
            return f"{bare}{mark}{'&'.join(pairs)}", document
        return path, _set(document, self.body, new)

    def check(self, headers: Mapping[str, str], body: bytes) -> Iterator[Finding]:
        """Yield a delivery's differences from the document; undocumented headers are allowed."""
        definition = document_sources.resolve(
            self.contract.document, f"#{document_sources.pointer(self.steps)}"
        )
        seen = {name.lower(): value for name, value in headers.items()}
        for number, one in enumerate(definition.get("parameters", ())):
            yield from self._header(one, (*self.steps, "parameters", str(number)), seen)
        steps = (*self.steps, "requestBody")
        kind = seen.get("content-type", "")
        yield from self.contract.content(self.name, definition["requestBody"], steps, kind, body)

    def wrong_signature(self, header: str, signature: Signature) -> Iterator[Finding]:
        """Yield a finding if the signature does not match the secret."""
        expected = {"invalid": "made with the secret", "missing": "this header"}.get(signature)
        if expected is not None:
            source = document_sources.source_at(self.contract.document, (*self.steps, "parameters"))
            seen = "none" if signature == "missing" else "another one"
            where = f"header {header}"
            yield Finding(self.contract.provider, self.name, where, expected, seen, source)

    def _pair(self, pair: str, new: Mapping[str, str]) -> str:
        name, _, value = pair.partition("=")
        url = new.get(unquote_plus(value)) if unquote_plus(name) == self.query else None
        return pair if url is None else f"{name}={quote(url, safe='')}"

    def _header(
        self, one: Mapping[str, Any], steps: tuple[str, ...], seen: Mapping[str, str]
    ) -> Iterator[Finding]:
        value, where = seen.get(one["name"].lower()), f"header {one['name']}"
        if value is not None:
            yield from self.contract.values(self.name, (*steps, "schema"), value, where)
        elif one.get("required"):
            source = document_sources.source_at(self.contract.document, steps)
            others = [name for name in seen if "signature" in name and "signature" in where]
            told = f"{others[0]} instead" if others else "none"
            expected = "this header"
            yield Finding(self.contract.provider, self.name, where, expected, told, source)


def callbacks_of(provider: str, dialect: str, method: str, path: str) -> tuple[Callback, ...]:
    """Return the callbacks that the document defines for a request; most requests have none."""
    place = operation_of(provider, dialect, method, path)
    return () if place is None else _callbacks(place[0], place[1].id)


def check_delivery(
    callback: Callback,
    headers: Mapping[str, str],
    body: bytes,
    signed_by: str,
    signature: Signature,
) -> list[Finding]:
    """Return all differences between a delivery and the document.

    An invalid signature is a finding of its own if the headers are as documented.
    """
    found = [*callback.check(headers, body)]
    if not any(one.where.startswith("header ") for one in found):
        found += callback.wrong_signature(signed_by, signature)
    return found


@cache
def _callbacks(contract: Contract, name: str) -> tuple[Callback, ...]:
    return tuple(_read(contract, contract.operations[name]))


def _read(contract: Contract, operation: DocumentedOperation) -> Iterator[Callback]:
    document = contract.document
    start = ("paths", operation.path, operation.method.lower(), "callbacks")
    for name, given in operation.definition.get("callbacks", {}).items():
        reference = given.get("$ref", "")
        steps = (*start, name)
        if reference:
            steps = tuple(reference.removeprefix("#/").split("/"))
        for expression, item in resolved(document, given).items():
            place = _EXPRESSION.fullmatch(expression)
            if place is not None and "post" in item:
                body = tuple((place["body"] or "").split("/")) if place["body"] else ()
                whole = (*steps, expression, "post")
                yield Callback(contract, operation, whole, place["query"] or "", body)


def _set(document: Any, path: tuple[str, ...], new: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
    """Return a document in which a text at this path is replaced according to `new`."""
    if not path:
        return new.get(document, document) if isinstance(document, str) else document
    if not isinstance(document, Mapping) or path[0] not in document:
        return document
    return {**document, path[0]: _set(document[path[0]], path[1:], new)}
