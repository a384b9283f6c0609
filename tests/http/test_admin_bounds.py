"""What the admin API stores is bounded, and each refusal says what is too large."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from upsim.core.globs import MAX_PATTERNS
from upsim.web.admin.problems import MAX_MESSAGE_LENGTH

if TYPE_CHECKING:
    from tests.http.conftest import Admin

FAULTS = "sandboxes/default/faults"
FAULT = {"provider": "vicsee", "at": "poll", "on": "*", "do": "drop_connection"}
REFERENCE = re.compile(r"#/components/schemas/(\w+)")
MANY = {f"data.k{number}": 1 for number in range(45_000)}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"do": {"patch": MANY}}, "do.patch: patch has 45000 fields; at most 200 are allowed"),
        (
            {"do": {"patch": {f"data.{'x' * 200}": 1}}},
            "do.patch: a path of patch has 205 characters; at most 200 are allowed",
        ),
        ({"at": "before_accept", "when": MANY}, "when: when has 45000 fields; at most 50"),
        ({"do": MANY}, "this fault has 45004 values; at most 4000 are allowed"),
        (
            {"do": {f"k{n}": 1 for n in range(3_000)}},
            "do: a fault has exactly one action: {k0: …} or",
        ),
        ({"do": {"respond": {"body": [1.5] * 4_000}}}, "this fault has 4006 values"),
        ({"do": {"respond": {"body": ["y" * 900_000] * 2}}}, "this fault has 1800"),
        ({"do": {"respond": {"headers": {f"x{n}": "" for n in range(101)}}}}, "do.respond.headers"),
        ({"do": {"respond": {f"k{n}": 1 for n in range(3_000)}}}, "do.respond.k0: unknown key"),
    ],
)
def test_a_fault_that_is_too_large_is_refused(
    admin: Admin, given: dict[str, Any], said: str
) -> None:
    """The refusal of a too large fault is short and names the part, its size and the limit."""
    status, code, message = admin.refusal("POST", FAULTS, {**FAULT, **given})
    assert (400, "invalid") == (status, code)
    assert message.startswith(said)
    assert len(message) < MAX_MESSAGE_LENGTH


@pytest.mark.parametrize(
    ("fault", "fits", "said"),
    [
        ({"do": {"patch": {f"data.k{n}": 1 for n in range(200)}}}, 10, "2200 fields; at most 2000"),
        (
            {"at": "before_accept", "on": None, "when": {"video_url": "*?"}},
            MAX_PATTERNS,
            f"{MAX_PATTERNS + 1} globs with ? or [",
        ),
        ({"do": {"respond": {"body": "x" * 900_000}}}, 4, "characters; at most 4000000"),
    ],
)
def test_all_faults_of_a_sandbox_have_a_common_limit(
    admin: Admin, fault: dict[str, Any], fits: int, said: str
) -> None:
    """Many small faults are refused once their total is too large.

    The limit is the same for faults of the admin API and of a scenario.
    """
    node = {name: value for name, value in {**FAULT, **fault}.items() if value is not None}
    for _ in range(fits):
        admin.post(FAULTS, node)
    status, code, message = admin.refusal("POST", FAULTS, node)
    assert (409, "too_many") == (status, code)
    assert said in message
    assert message.endswith("; disarm some")
    del node["provider"]
    sent = {"extends": "vicsee/baseline", "faults": [{**node, "id": f"f{n}"} for n in range(fits)]}
    admin.post("sandboxes", {"id": "most", "scenario": sent})
    sent["faults"] = [{**node, "id": f"f{n}"} for n in range(fits + 1)]
    status, code, message = admin.refusal("POST", "sandboxes", {"scenario": sent})
    assert (400, "invalid_scenario") == (status, code)
    assert said in message


def test_all_globs_of_a_scenario_have_a_common_limit(admin: Admin) -> None:
    """A scenario is refused if the globs of its `media` rules have too many characters in total."""
    media = [{"url": f"{'?' * 50}{n}*", "duration": "5s"} for n in range(160)]
    sent = {"extends": "vicsee/baseline", "media": media}
    status, _, message = admin.refusal("POST", "sandboxes", {"scenario": sent})
    assert 400 == status
    assert "characters in globs with ? or [ in all; at most 8000 are allowed" in message
    sent["media"] = [{"url": f"{'a*' * 450}{n}", "duration": "5s"} for n in range(120)]
    assert "at most 100000 are allowed" in admin.refusal("POST", "sandboxes", {"scenario": sent})[2]


def test_the_journal_names_a_few_paths_that_patches_did_not_find(admin: Admin) -> None:
    """The journal names at most ten faults that did not fire, each with at most five paths."""
    for _ in range(12):
        admin.post(FAULTS, {**FAULT, "do": {"patch": {f"nowhere.k{n}": 1 for n in range(9)}}})
    admin.vicsee().get("/api/v1/credits")
    unfired = admin.get("sandboxes/default/journal")["exchanges"][-1]["why"]["unfired"]
    assert 10 == len(unfired)
    assert unfired[0].startswith("fault f1 did not fire: this answer has no nowhere.k0, ")
    assert "nowhere.k4 and 4 more" in unfired[0]
    assert "nowhere.k5" not in unfired[0]


BOUNDED_BY_CODE = {
    "FaultOrder.at": "one of the stages",
    "FaultOrder.do": "the size of a fault",
    "FaultOrder.id": "a name of at most 64 characters",
    "FaultOrder.on": "the operations of a provider, and the globs of a sandbox",
    "FaultOrder.account": "the number of an account",
    "FaultOrder.when": "the size of a fault",
    "FaultOrder.state": "one of the states",
    "FaultOrder.first": "a whole number",
    "FaultOrder.every": "a whole number",
    "FaultOrder.after": "a whole number",
    "FaultOrder.probability": "a number up to 1",
    "SandboxOrder.scenario": "4,000 values and 5,000,000 characters, 64 MiB for all sandboxes",
}
"""What the schema of a body leaves open, each with what bounds it instead."""


def unbounded(schema: dict[str, Any], field: str = "") -> Iterator[str]:
    """Yield the fields of a schema that may hold a text, list or object of any size."""
    for name, inner in schema.get("properties", {}).items():
        yield from unbounded(inner, name)
    for inner in schema.get("anyOf", ()):
        yield from unbounded(inner, field)
    kind, closed = schema.get("type"), schema.get("additionalProperties") is False
    fixed = {"$ref", "anyOf", "enum", "maxLength", "maxItems", "maxProperties"} & {*schema}
    if kind in (None, "string", "array", "object") and not (fixed or closed):
        yield field
    if isinstance(entries := schema.get("additionalProperties"), dict):
        yield from unbounded(entries, field)
        assert "maxLength" in schema["propertyNames"], field


def test_every_text_of_an_admin_body_has_a_limit(admin: Admin) -> None:
    """The OpenAPI document limits each text, list and object in a body.

    The fields without a limit in the document have one in the code.
    """
    document = admin.http.get("/__sim/openapi.json").json()
    shapes = document["components"]["schemas"]
    bodies = {
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/")[-1]
        for path in document["paths"].values()
        for operation in path.values()
        if "requestBody" in operation
    }
    assert len(bodies) > 5
    seen, left = set(), [*bodies]
    while left:
        name = left.pop()
        seen.add(name)
        text = json.dumps(shapes[name])
        left += {one for one in REFERENCE.findall(text) if one not in seen}
    found = {f"{name}.{field}" for name in seen for field in unbounded(shapes[name])}
    assert {*BOUNDED_BY_CODE} == found
