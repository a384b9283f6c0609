"""The floors and exceptions of fuzzing name operations that exist, and their reasons."""

from __future__ import annotations

import pytest

from upsim_contracts.documents.openapi import folders, parts, providers
from upsim_contracts.documents.response_checks import contract
from upsim_contracts.suite.fuzzing import FuzzingResult, unmet
from upsim_contracts.suite.fuzzing_rules import EXCEPTIONS, exceptions, rules

each_provider = pytest.mark.parametrize("provider", providers())


def operations(provider: str) -> set[str]:
    """Return the operations of all documents of a provider."""
    return {name for part in parts(provider) for name in contract(provider, part=part).operations}


def excepted(provider: str) -> list[str]:
    """Return the operations that a provider's exceptions name."""
    rows = exceptions(provider).get("operations", [])
    ids = [row["include-operation-id"] for row in rows]
    return [name for found in ids for name in ([found] if isinstance(found, str) else found)]


@each_provider
def test_floors_and_exceptions_name_operations(provider: str) -> None:
    """Every floor and exception names an existing operation, with one exception row each."""
    named = excepted(provider)
    assert set() == {*rules(provider).accepted, *named} - operations(provider)
    assert len(named) == len(set(named))


@each_provider
def test_every_exception_has_a_reason(provider: str) -> None:
    """Each row of `schemathesis.toml` has a comment and applies to single operations only."""
    text = (folders()[provider] / EXCEPTIONS).read_text("utf-8")
    rows = [row for row in text.split("[[operations]]")[1:] if "# " not in row]
    assert [] == rows
    assert {"operations"} >= set(exceptions(provider))


@each_provider
def test_every_submit_has_a_floor(provider: str) -> None:
    """Each submit has a minimum number of accepted requests, so a run without any fails."""
    missing = [
        text for part in parts(provider) for text in unmet(FuzzingResult(seed=1), provider, part)
    ]
    assert len(rules(provider).accepted) == len(missing) > 0


def test_only_successes_count_for_a_floor() -> None:
    """Refused requests do not count for the minimum number of accepted requests."""
    result = FuzzingResult(seed=1)
    result.answers["upscaleVideo", 400] = 1000
    result.answers["upscaleVideo", 200] = 9
    assert "upscaleVideo: accepted 9 times, at least 10 are needed" in list(unmet(result, "vicsee"))


def test_a_report_shows_the_seed() -> None:
    """A failure report shows the seed, so that the failure can be repeated."""
    result = FuzzingResult(seed=7)
    silent = result.report()
    result.failures["oops"] = None
    assert ("", "seed 7\n\noops") == (silent, result.report())
