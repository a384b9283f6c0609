"""Check every documented fact that a test can decide at the target."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from upsim_contracts.facts.fact_files import Fact
from upsim_contracts.facts.fact_runner import check_fact
from upsim_contracts.target import Target
from upsim_contracts.verify.run import book_of, pricer, providers

FACTS = [
    pytest.param(provider, fact, id=f"{provider}-{fact.id}")
    for provider in providers()
    for fact in book_of(provider).facts
    if fact.untestable is None
]


@pytest.mark.parametrize(("provider", "fact"), FACTS)
def test_fact(target_of: Callable[[str], Target], provider: str, fact: Fact) -> None:
    """The target does what the provider documents; each simulator response is in its document."""
    target = target_of(provider)

    verdict = check_fact(book_of(provider), fact, target, pricer(provider), _sleep)
    if verdict.outcome == "not run":
        pytest.skip(verdict.reason)

    assert [str(found) for found in verdict.mismatches] == [], verdict.exchange
    if target.simulator:
        findings = [str(found) for call in verdict.exchanges for found in call.findings]
        assert findings == [], verdict.exchange


def _sleep(seconds: float) -> None:
    threading.Event().wait(seconds)
