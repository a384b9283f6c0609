"""The OpenAPI document of the admin API is valid, and every answer is what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx
import jsonschema
import pytest

from tests.http.conftest import SAMPLES
from upsim.web.admin.app import CALLS
from upsim.web.admin_access import PREFIX

if TYPE_CHECKING:
    from tests.http.conftest import Admin

BOX = "sandboxes/default"


@dataclass
class Judge:
    """Validates answers against the document, and notes which calls were seen to succeed."""

    document: dict[str, Any]
    succeeded: set[tuple[str, str]] = field(default_factory=set)

    def __call__(self, response: httpx.Response) -> None:
        """Check one answer of the admin API."""
        method, path = response.request.method, response.request.url.path
        template = self.template(path)
        if template is None or method == "HEAD":
            return
        response.read()
        operation = self.document["paths"][template].get(method.lower())
        if operation is None:
            assert response.status_code == 405
            return
        told = operation["responses"][str(response.status_code)]["content"]
        kind = response.headers["content-type"].partition(";")[0]
        if kind == "application/json":
            self.check(response.json(), told[kind]["schema"])
        if response.is_success:
            self.succeeded.add((method, template))

    def check(self, answer: object, schema: dict[str, Any]) -> None:
        """Check JSON against a schema of the document."""
        whole = {**schema, "components": self.document["components"]}
        jsonschema.Draft202012Validator(whole).validate(answer)

    def template(self, path: str) -> str | None:
        """Return the path of the document that a path is of: the one with most text of its own."""
        found = [t for t in self.document["paths"] if re.fullmatch(_pattern(t), path)]
        return min(found, key=lambda t: t.count("{"), default=None)


@cache
def _pattern(template: str) -> str:
    every = ".+" if template.endswith("scenarios/{name}") else "[^/]+"
    return re.sub(r"\\{\w+\\}", every, re.escape(template))


@pytest.fixture
def judged(admin: Admin) -> Iterator[Judge]:
    """Return a judge who sees every answer of the admin API."""
    judge = Judge(admin.http.get(f"{PREFIX}/openapi.json").json())
    admin.http.event_hooks["response"].append(judge)
    yield judge
    admin.http.event_hooks["response"].clear()


def test_the_document_is_valid(admin: Admin) -> None:
    """The document is valid OpenAPI 3.1 by the official schema, and every reference resolves."""
    from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

    document = admin.http.get(f"{PREFIX}/openapi.json").json()
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))

    assert [] == [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(document)]
    assert names <= set(document["components"]["schemas"])


def test_every_request_is_described(admin: Admin) -> None:
    """Each request has a summary and its own name, and each parameter has a description."""
    paths = admin.http.get(f"{PREFIX}/openapi.json").json()["paths"]
    found = [operation for path in paths.values() for operation in path.values()]
    names = [operation["operationId"] for operation in found]

    assert len([call for call in CALLS if call.method != "ANY"]) == len(found)
    assert len(set(names)) == len(names)
    assert [] == [operation for operation in found if not operation["summary"]]
    assert [] == [p for operation in found for p in operation["parameters"] if not p["description"]]


def test_every_response_is_what_the_document_says(admin: Admin, judged: Judge) -> None:
    """Good and bad requests of all kinds get only responses that the document describes."""
    box = admin.sandbox(id="walk", balances={"piapi": 1_000_000})
    here = f"{PREFIX}/sandboxes/walk"
    piapi = admin.caller("piapi", box["keys"]["piapi"])
    hook = {"endpoint": f"http://127.0.0.1:4747{here}/inbox/a", "secret": "s"}
    sample = SAMPLES["piapi"]
    video = "https://clips.example/8.mp4"
    answer = sample.submit(piapi, video, aspect="x")
    body = {**sample.body, "input": {"video": video}, "config": {"webhook_config": hook}}
    answer = piapi.post(sample.path, json=body)
    assert answer.status_code == 200, answer.text
    job = answer.json()["data"]["task_id"]
    piapi.post(sample.path, json={"model": "none"})
    fault = {"provider": "piapi", "at": "poll", "do": {"delay": {"real": "1ms"}}, "id": "slow"}
    steps: list[tuple[str, str, object]] = [
        ("GET", "", None),
        ("GET", "/openapi.json", None),
        *[("GET", f"/{name}", None) for name in ("livez", "readyz", "health", "metrics", "schema")],
        ("GET", "/scenarios?limit=3", None),
        ("GET", "/scenarios/vicsee/baseline", None),
        ("GET", "/scenarios/vicsee/none", None),
        ("GET", "/sandboxes", None),
        ("POST", "/sandboxes", {"id": "other"}),
        ("POST", "/sandboxes", {"id": "other"}),
        ("POST", "/sandboxes", {"id": "!"}),
        ("GET", "/sandboxes/walk", None),
        ("GET", "/sandboxes/none", None),
        ("POST", "/sandboxes/walk/faults", fault),
        ("POST", "/sandboxes/walk/faults", fault),
        ("GET", "/sandboxes/walk/faults", None),
        ("GET", "/sandboxes/walk/faults/slow", None),
        ("GET", "/sandboxes/walk/clock", None),
        ("PATCH", "/sandboxes/walk/clock", {"pace": 2}),
        ("PATCH", "/sandboxes/walk/clock", {"pace": 0}),
        ("POST", "/sandboxes/walk/clock/advance", {"to": "idle"}),
        ("POST", "/sandboxes/walk/clock/advance", {"to": "2000-01-01T00:00:00Z"}),
        ("GET", "/sandboxes/walk/jobs", None),
        ("GET", "/sandboxes/walk/export", None),
        ("GET", f"/sandboxes/walk/jobs/{job}", None),
        ("PUT", f"/sandboxes/walk/jobs/{job}/state", {"state": "waiting"}),
        ("PUT", f"/sandboxes/walk/jobs/{job}/state", {"state": "deleted"}),
        ("GET", "/sandboxes/walk/accounts", None),
        ("PUT", "/sandboxes/walk/accounts/vicsee", {"balance": 5}),
        ("POST", "/sandboxes/walk/accounts/vicsee/keys", {"account": "b"}),
        ("GET", "/sandboxes/walk/ledger", None),
        ("GET", "/sandboxes/walk/webhooks", None),
        ("GET", "/sandboxes/walk/inbox/a/messages", None),
        ("POST", "/sandboxes/walk/snapshots", {"name": "first"}),
        ("GET", "/sandboxes/walk/snapshots", None),
        ("POST", "/sandboxes/walk/snapshots/first/restore", {}),
        ("POST", "/sandboxes/walk/snapshots/second/restore", {}),
        ("DELETE", "/sandboxes/walk/snapshots/first", None),
        ("POST", "/sandboxes", {"id": "forked", "fork": {"sandbox": "walk"}}),
    ]
    for method, path, sent in steps:
        admin.http.request(method, f"{PREFIX}{path}", json=sent)
    piapi.get(f"/api/v1/task/{job}")
    (delivery,) = admin.get("sandboxes/walk/webhooks")["deliveries"]
    for method, path, sent in (
        ("GET", f"webhooks/{delivery['id']}", None),
        ("POST", f"webhooks/{delivery['id']}/resend", None),
        ("GET", "report-card", None),
        ("GET", "journal", None),
        ("POST", "journal/find", {"provider": "piapi"}),
        ("POST", "journal/count", {}),
        ("DELETE", "faults/slow", None),
        ("DELETE", "faults", None),
        ("POST", "reset?what=journal", None),
        ("DELETE", "", None),
    ):
        admin.http.request(method, f"{here}/{path}".rstrip("/"), json=sent)

    every = {
        (call.method, PREFIX + call.path.replace(":path", ""))
        for call in CALLS
        if call.method != "ANY" and call.media != "text/event-stream"
    }
    assert every == judged.succeeded
