"""Run schemathesis with its default settings on the documents that a server publishes.

Only the provider's `schemathesis.toml` and an API key are added.
"""

from __future__ import annotations

from typing import Any

import pytest

from upsim_contracts.documents.openapi import parts, providers
from upsim_contracts.suite.fuzzing_rules import exceptions, rules
from upsim_contracts.suite.sandbox_pool import SandboxPool

DOCUMENTS = [(provider, part) for provider in providers() for part in parts(provider)]
EXAMPLES = 5


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("provider", "part"), DOCUMENTS)
def test_a_plain_run_finds_nothing(
    application: Any,  # noqa: ANN401 - an ASGI application
    *,
    provider: str,
    part: str,
) -> None:
    """The default dialect, all phases, few examples; `make nightly` runs the command itself."""
    import schemathesis
    from schemathesis.engine import events, from_schema

    places = SandboxPool(application, provider, rules(provider).key)
    place = places.enter()
    config = schemathesis.Config.from_dict(
        {
            "seed": 1,
            "headers": {place.header: place.value},
            "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"},
            "analysis": {"constants": {"enabled": False}},
            **exceptions(provider),
        }
    )
    path = f"/{provider}/openapi{f'.{part}' if part else ''}.json"
    schema = schemathesis.openapi.from_asgi(path, application, config=config)
    found: list[str] = []
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            infos = [c.failure_info for checks in event.recorder.checks.values() for c in checks]
            found += [f"{info.failure}\n{info.code_sample}" for info in infos if info is not None]
        elif isinstance(event, events.NonFatalError):
            found.append(f"{event.label}: {event.info.format()}")
        elif isinstance(event, events.FatalError):
            raise event.exception
    assert "\n\n".join(found) == ""
