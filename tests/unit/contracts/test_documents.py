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
    """A validator that is not ours accepts every document under every dialect."""
    validate(document(provider, dialect, part), cls=OpenAPIV31SpecValidator)


def test_every_provider_has_a_document() -> None:
    """What is emulated is described."""
    assert set(discover()) <= set(providers())


@pytest.mark.parametrize("provider", sorted(discover()))
def test_every_operation_is_documented(provider: str) -> None:
    """Each path and method that the simulator answers stands in a document, and no other."""
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
    """A source is a key of the document's own table, or a reason in words."""
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
    """Null removes, objects merge, anything else replaces."""
    assert expected == merged(base, patch)


def test_the_dialects_differ_as_documented() -> None:
    """VicSee's first status is `pending` in its guide and `processing` live."""
    status = [
        document("vicsee", dialect)["components"]["schemas"]["FirstStatus"]["const"]
        for dialect in ("guide", "live")
    ]
    assert ["pending", "processing"] == status


def test_an_unknown_dialect_reads_as_the_guide() -> None:
    """A dialect without a patch changes nothing."""
    assert document("vicsee") == document("vicsee", "auto")


def test_parts_and_dialects_are_told_apart() -> None:
    """A further host has a document of its own; a dialect has a patch."""
    assert ("", "upload") == parts("piapi")
    assert ("guide", "live") == dialects("piapi")
    assert ("guide", "live") == dialects("piapi", "upload")
    assert ("guide", "auto", "live") == dialects("venice")


@pytest.mark.parametrize(
    ("host", "part"),
    [("api.piapi.ai", ""), ("upload.theapi.app", "upload"), ("127.0.0.1", "")],
)
def test_a_host_has_its_document(host: str, part: str) -> None:
    """PiAPI's upload host is another one; any unknown host means the API."""
    assert part == document_of_host("piapi", host)


@pytest.mark.parametrize("arguments", [("nobody", "guide", None), ("piapi", "guide", "nothing")])
def test_what_is_not_there_is_not_served(arguments: tuple[str, str, str | None]) -> None:
    """A server is told None, and says so in its own form."""
    assert served(*arguments, "127.0.0.1") is None


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    """The message names what there is."""
    with pytest.raises(NoContractError, match=r"no provider 'vicse'.*did you mean vicsee"):
        document("vicse")
    with pytest.raises(NoContractError, match=r"no document of piapi 'uplod'.*mean upload"):
        document("piapi", part="uplod")
