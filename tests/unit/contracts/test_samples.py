"""The samples in the documents are what their own schemas say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from upsim_contracts.documents import document_sources
from upsim_contracts.documents.openapi import dialects, parts, providers
from upsim_contracts.documents.response_checks import Contract, DocumentedOperation, contract
from upsim_contracts.documents.schemas import Schemas

CONTRACTS = [
    pytest.param(
        contract(provider, dialect, part),
        id="-".join(filter(None, (provider, part, dialect))),
    )
    for provider in providers()
    for part in parts(provider)
    for dialect in dialects(provider, part)
]


def samples(one: Contract) -> Iterator[tuple[DocumentedOperation, int, str, Any]]:
    """Yield the answers that a document prints: operation, status, name, body."""
    for operation in one.operations.values():
        for status, given in operation.definition["responses"].items():
            response = given
            while "$ref" in response:
                response = document_sources.resolve(one.document, response["$ref"])
            content = response.get("content", {}).get("application/json", {})
            for name, sample in content.get("examples", {}).items():
                yield operation, int(status), name, sample["value"]


@pytest.mark.parametrize("one", CONTRACTS)
def test_documented_responses_fit_the_contract(one: Contract) -> None:
    """Each documented sample response fits the contract, without a check of its headers."""
    headers = {"content-type": "application/json"}
    found = [
        finding
        for operation, status, _, body in samples(one)
        for finding in one.check(
            operation, status, headers, json.dumps(body, default=float).encode()
        )
    ]
    assert [] == [str(finding) for finding in found if not finding.where.startswith("header")]


@pytest.mark.parametrize("one", CONTRACTS)
def test_documented_requests_fit_the_schema(one: Contract) -> None:
    """Each documented sample request fits its schema."""
    schemas = Schemas(one.document)
    found = [
        (operation.id, name, difference)
        for operation in one.operations.values()
        for name, pointer, value in requests(operation)
        for difference in schemas.differences(pointer, value)
    ]
    assert [] == found


def requests(operation: DocumentedOperation) -> Iterator[tuple[str, str, Any]]:
    """Yield the requests that a document prints: name, place of the schema, body."""
    contents = operation.definition.get("requestBody", {}).get("content", {})
    steps = ("paths", operation.path, operation.method.lower(), "requestBody", "content")
    place = "".join("/" + step.replace("/", "~1") for step in (*steps, "application/json"))
    for name, sample in contents.get("application/json", {}).get("examples", {}).items():
        text = json.dumps(sample["value"], default=float)
        yield name, f"{place}/schema", json.loads(text, parse_float=Decimal)
