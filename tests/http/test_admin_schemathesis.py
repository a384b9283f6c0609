"""Schemathesis, which we did not write, calls the admin API by its own document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode

from upsim import Simulator
from upsim.web.admin_access import PREFIX

LOCAL = "http://127.0.0.1:4747"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
ENDLESS = "/events"
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)

SIM = Simulator(clock="manual", seed=1)
with httpx.Client(transport=SIM.transport(), base_url=LOCAL) as http:
    DOCUMENT = http.get(f"{PREFIX}/openapi.json").json()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig.from_dict({}))
SCHEMA.app = SIM.app
FOUND: list[Any] = list(SCHEMA.get_all_operations())  # results, that can be mistakes as well
OPERATIONS = [result.ok() for result in FOUND if not result.ok().path.endswith(ENDLESS)]
CASES = [
    (operation, mode)
    for operation in OPERATIONS
    for mode in MODES
    if mode is GenerationMode.POSITIVE or operation.query or operation.body
]
"""A call that takes neither query nor body cannot be called against the document."""


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    SIM.close()


@pytest.mark.parametrize(
    ("operation", "mode"), CASES, ids=[f"{o.label} {mode.value}" for o, mode in CASES]
)
def test_every_request_gets_a_described_response(
    operation: Any,  # noqa: ANN401 - generic four times over
    mode: GenerationMode,
) -> None:
    """No request, valid or invalid by the document, gets a 500 or an undescribed response."""
    every: list[Any] = list(schemathesis.checks.CHECKS.get_all())
    checks = [check for check in every if check.__name__ in CHECKS]
    assert len(CHECKS) == len(checks)

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=6,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def answers(case: schemathesis.Case[Any]) -> None:
        if "id" in case.path_parameters and mode is GenerationMode.POSITIVE:
            case.path_parameters["id"] = "default"  # what exists has more to answer
        response = case.call(base_url=LOCAL)
        case.validate_response(response, checks=checks)

    answers()
