"""The OpenAPI documents that the simulator serves, in each form of address."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint

import httpx
import pytest

from tests.http.conftest import LOCAL, Admin
from upsim.web import openapi_documents

PROVIDERS = ["piapi", "venice", "vicsee", "wavespeed"]


@pytest.fixture
def http(admin: Admin) -> Iterator[httpx.Client]:
    """Return a client without a key."""
    with httpx.Client(transport=admin.sim.transport(), base_url=LOCAL) as client:
        yield client


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_document_names_the_requested_server(http: httpx.Client, provider: str) -> None:
    """`servers` has the prefix, so a client that is generated from it works."""
    answer = http.get(f"/{provider}/openapi.json")

    assert (200, "application/json") == (answer.status_code, answer.headers["content-type"])
    assert [{"url": f"{LOCAL}/{provider}"}] == answer.json()["servers"]


def test_a_dialect_has_its_own_document(http: httpx.Client) -> None:
    """The document has the dialect of the path, also in `servers`."""
    answer = http.get("/vicsee/live/openapi.json").json()

    status = answer["components"]["schemas"]["FirstStatus"]["const"]
    assert ("processing", [{"url": f"{LOCAL}/vicsee/live"}]) == (status, answer["servers"])


def test_a_document_keeps_the_sandbox_of_the_path(admin: Admin, http: httpx.Client) -> None:
    """`servers` has the sandbox of the path."""
    admin.sandbox(id="box", dialects={"vicsee": "live"})
    answer = http.get("/sandbox/box/vicsee/openapi.json").json()

    status = answer["components"]["schemas"]["FirstStatus"]["const"]
    assert ("processing", [{"url": f"{LOCAL}/sandbox/box/vicsee"}]) == (status, answer["servers"])


def test_a_document_says_that_any_key_works(admin: Admin, http: httpx.Client) -> None:
    """The document has this note unless the server or the sandbox refuses unknown keys."""
    admin.sandbox(id="box")
    text = http.get("/vicsee/openapi.json").json()["info"]["description"]
    strict = http.get("/sandbox/box/vicsee/openapi.json").json()["info"]["description"]

    assert text == f"{strict} {openapi_documents.ANY_KEY}"


def test_a_retired_operation_is_not_described(http: httpx.Client) -> None:
    """The document omits an endpoint that answers every request with 410."""
    paths = http.get("/venice/openapi.json").json()["paths"]

    assert "/api/v1/billing/usage" not in paths
    assert "/api/v1/billing/usage-history" in paths


@pytest.mark.parametrize(
    ("host", "title"),
    [("api.piapi.ai", "PiAPI, video upscale"), ("upload.theapi.app", "PiAPI, file upload")],
)
def test_a_host_has_its_document(http: httpx.Client, host: str, title: str) -> None:
    """Without a prefix, the host name decides the document."""
    answer = http.get("/openapi.json", headers={"host": host}).json()

    assert (title, [{"url": f"http://{host}"}]) == (answer["info"]["title"], answer["servers"])


def test_an_upload_host_has_a_document_by_name(http: httpx.Client) -> None:
    """PiAPI's upload host shares the prefix, so its document has a name of its own."""
    answer = http.get("/piapi/openapi.upload.json").json()

    assert ["/api/ephemeral_resource"] == list(answer["paths"])


def test_a_second_request_gets_the_same_document(http: httpx.Client) -> None:
    """Cached documents do not mix the URLs of requests."""
    first, other, again = (
        http.get(path).json()
        for path in ("/vicsee/openapi.json", "/vicsee/live/openapi.json", "/vicsee/openapi.json")
    )
    assert (first == again, first == other) == (True, False)


def test_cached_documents_are_bounded(http: httpx.Client) -> None:
    """The server forgets old documents if it is requested under ever new names."""
    for number in range(openapi_documents.KEPT + 1):
        host = f"h{number}.example"
        answer = http.get("/vicsee/openapi.json", headers={"host": host}).json()
    assert [{"url": f"http://h{openapi_documents.KEPT}.example/vicsee"}] == answer["servers"]


def test_an_unknown_document_is_not_found(http: httpx.Client) -> None:
    """The response names the unknown document; other paths are those of the provider."""
    answer = http.get("/piapi/openapi.nothing.json")

    error = {"code": "no_document", "message": "there is no document openapi.nothing.json of piapi"}
    assert (404, {"error": error}) == (answer.status_code, answer.json())


def test_a_document_can_only_be_read(http: httpx.Client) -> None:
    """A POST to the URL of the document gets the provider's response for an unknown path."""
    assert "NOT_FOUND" == http.post("/vicsee/openapi.json").json()["error"]["code"]


def test_without_contracts_the_response_names_the_package(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no package has documents, the response names the missing package."""
    nothing: Callable[..., tuple[EntryPoint, ...]] = lambda group: ()  # noqa: ARG005, E731
    monkeypatch.setattr(importlib.metadata, "entry_points", nothing)
    answer = http.get("/vicsee/openapi.json")

    assert 404 == answer.status_code
    assert "upsim_contracts" in answer.json()["error"]["message"]
