"""What the providers' `fuzzing.yaml` say is about operations that are there."""

from __future__ import annotations

import pytest

from upsim_contracts.answers import contract
from upsim_contracts.documents import dialects, parts, providers
from upsim_contracts.suite.fuzzing import Result, unmet
from upsim_contracts.suite.rules import rules

each_provider = pytest.mark.parametrize("provider", providers())


def operations(provider: str) -> set[str]:
    """Return the operations of all documents of a provider."""
    return {name for part in parts(provider) for name in contract(provider, part=part).operations}


@each_provider
def test_floors_and_exclusions_name_operations(provider: str) -> None:
    """A misspelt name would judge nothing."""
    found = rules(provider)
    named = {name for known in found.known for name in known.operations}
    assert set() == (set(found.accepted) | named) - operations(provider)


@each_provider
def test_exclusions_have_a_reason_and_known_dialects(provider: str) -> None:
    """Each says in a sentence why it is no failure."""
    for known in rules(provider).known:
        assert " " in known.reason
        assert set(known.dialects) <= set(dialects(provider))


@each_provider
def test_every_submit_has_a_floor(provider: str) -> None:
    """A run in which nothing was accepted fails."""
    missing = [text for part in parts(provider) for text in unmet(Result(seed=1), provider, part)]
    assert len(rules(provider).accepted) == len(missing) > 0


def test_a_floor_is_met_by_successes_alone() -> None:
    """Refusals do not count."""
    result = Result(seed=1)
    result.answers["upscaleVideo", 400] = 1000
    result.answers["upscaleVideo", 200] = 9
    assert "upscaleVideo: accepted 9 times, at least 10 are needed" in list(unmet(result, "vicsee"))


def test_a_report_tells_the_seed() -> None:
    """Whoever reads a failure can have it again."""
    result = Result(seed=7)
    silent = result.report()
    result.failures["oops"] = None
    assert ("", "seed 7\n\noops") == (silent, result.report())
