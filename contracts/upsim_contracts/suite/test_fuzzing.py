"""Check with schemathesis that the application matches the documents."""

from __future__ import annotations

from typing import Any

import pytest

from upsim_contracts.documents.openapi import default_dialect, dialects, parts, providers
from upsim_contracts.suite.fuzzing import Fuzzing, Profile, unmet

DOCUMENTS = [
    pytest.param(
        provider,
        dialect,
        part,
        id="-".join(filter(None, (provider, part, dialect))),
        marks=() if dialect == default_dialect(provider) else pytest.mark.nightly,
    )
    for provider in providers()
    for part in parts(provider)
    for dialect in dialects(provider, part)
]
"""The document of each provider's default dialect, and at night those of the others."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("provider", "dialect", "part"), DOCUMENTS)
def test_single_calls_and_sequences(
    application: Any,  # noqa: ANN401 - an ASGI application
    profile: Profile,
    *,
    provider: str,
    dialect: str,
    part: str,
) -> None:
    """No failure is unexplained, and the calls that matter were really accepted."""
    fuzzing = Fuzzing(application, provider, dialect, part, profile)
    fuzzing.calls()
    result = fuzzing.sequences()

    assert result.report() == ""
    assert list(unmet(result, provider, part)) == []
