"""The OpenAPI documents: found, merged by dialect, and valid."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from upsim.providers import discover
from upsim_contracts.documents.openapi import (
    dialects,
    document,
    document_of_host,
    merged,
    parts,
    providers,
    served,
)
from upsim_contracts.exceptions import NoContractError

ALL = [
    pytest.param(provider, dialect, part, id="-".join(filter(None, (provider, part, dialect))))
    for provider in providers()
    for part in parts(provider)
    for dialect in dialects(provider, part)
]


@pytest.mark.parametrize(("provider", "dialect", "part"), ALL)
def test_documents_are_valid(provider: str, dialect: str, part: str) -> None:
    """An independent validator accepts every document in every dialect."""
    validate(document(provider, dialect, part), cls=OpenAPIV31SpecValidator)


def test_every_provider_has_a_document() -> None:
    """Each simulated provider has an OpenAPI document."""
    assert set(discover()) <= set(providers())


@pytest.mark.parametrize("provider", sorted(discover()))
def test_every_operation_is_documented(provider: str) -> None:
    """The documents list exactly the paths and methods that the simulator serves."""
    written = {
        (method.upper(), path)
        for part in parts(provider)
        for path, item in document(provider, part=part)["paths"].items()
        for method in item
        if method != "parameters"
    }
    answered = {
        (one.method, one.path) for one in discover()[provider].operations if not one.refuses
    }
    generic = {pair for pair in answered if "*}" in pair[1]}
    named = {pair for pair in written if pair not in answered}

    assert answered - generic <= written
    assert bool(generic) == bool(named)


@pytest.mark.parametrize(("provider", "dialect", "part"), ALL)
def test_every_part_names_its_source(provider: str, dialect: str, part: str) -> None:
    """Each source in a document is a key of its own table or a reason in words."""
    found = document(provider, dialect, part)
    keys = set(found["x-sources"])
    sources = list(_sources(found))

    assert found["x-source"] in keys
    assert [] == [text for text in sources if " " not in text and text not in keys]


def _sources(node: Any) -> list[str]:  # noqa: ANN401 - JSON
    if isinstance(node, list):
        return [text for item in node for text in _sources(item)]
    if not isinstance(node, dict):
        return []
    own = [node["x-source"]] if isinstance(node.get("x-source"), str) else []
    return own + [text for value in node.values() for text in _sources(value)]


@pytest.mark.parametrize(
    ("base", "patch", "expected"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
    ],
)
def test_a_patch_is_a_merge_patch(base: object, patch: object, expected: object) -> None:
    """A dialect patch removes by null, merges objects, and replaces other values."""
    assert expected == merged(base, patch)


def test_the_dialects_differ_as_documented() -> None:
    """VicSee's first status is `pending` in its guide and `processing` live."""
    status = [
        document("vicsee", dialect)["components"]["schemas"]["FirstStatus"]["const"]
        for dialect in ("guide", "live")
    ]
    assert ["pending", "processing"] == status


def test_an_unknown_dialect_reads_as_the_guide() -> None:
    """A dialect without a patch gives the document unchanged."""
    assert document("vicsee") == document("vicsee", "auto")


def test_parts_and_dialects_are_distinguished() -> None:
    """Another host has its own document, while a dialect has a patch of the document."""
    assert ("", "upload") == parts("piapi")
    assert ("guide", "live") == dialects("piapi")
    assert ("guide", "live") == dialects("piapi", "upload")
    assert ("guide", "auto", "live") == dialects("venice")


@pytest.mark.parametrize(
    ("host", "part"),
    [("api.piapi.ai", ""), ("upload.theapi.app", "upload"), ("127.0.0.1", "")],
)
def test_a_host_has_its_document(host: str, part: str) -> None:
    """PiAPI's upload host has its own document; an unknown host gets the API's document."""
    assert part == document_of_host("piapi", host)


@pytest.mark.parametrize("arguments", [("nobody", "guide", None), ("piapi", "guide", "nothing")])
def test_a_missing_document_is_none(arguments: tuple[str, str, str | None]) -> None:
    """For a missing document, the server gets None and responds in its own format."""
    assert served(*arguments, "127.0.0.1") is None


def test_an_unknown_name_gets_the_nearest() -> None:
    """The error for an unknown document name suggests the nearest name."""
    with pytest.raises(NoContractError, match=r"no provider 'vicse'.*did you mean vicsee"):
        document("vicse")
    with pytest.raises(NoContractError, match=r"no document of piapi 'uplod'.*mean upload"):
        document("piapi", part="uplod")
