"""Schemathesis, which we did not write, calls the admin API by its own document."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import SchemathesisConfig

from upsim import Simulator
from upsim.web.admin.app import PREFIX

LOCAL = "http://127.0.0.1:4747"
CONFIG = {
    "phases": {"coverage": {"unexpected-methods": []}},
    "checks": {
        # A choice that is made at run time (a name that exists, one of two fields) is no schema's.
        "positive_data_acceptance": {"enabled": False},
        # A path parameter that is no text becomes one on its way into the path.
        "negative_data_rejection": {"enabled": False},
        "use_after_free": {"enabled": False},  # deleting `default` empties it
        "ensure_resource_availability": {"enabled": False},
        "unsupported_method": {"enabled": False},  # it is tested by hand, with Allow
    },
}

SIM = Simulator(clock="manual", seed=1)
SCHEMA = schemathesis.openapi.from_asgi(
    f"{PREFIX}/openapi.json",
    SIM.app,
    config=SchemathesisConfig.from_dict(CONFIG),
    base_url=LOCAL,
)


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Any:  # noqa: ANN401 - a generator
    yield
    SIM.close()


@SCHEMA.parametrize()
@settings(
    max_examples=15,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_call_answers_as_described(case: schemathesis.Case) -> None:
    """No request of any form gives a 500 or an answer that the document does not describe."""
    case.call_and_validate()
