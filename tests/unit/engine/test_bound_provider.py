"""Binding a provider to its rules: what a baseline must have before a request may come."""

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from upsim.core.baseline import BaselineError
from upsim.core.checks import ALWAYS_NEEDED
from upsim.core.knobs_and_dialects import Rules, rules
from upsim.core.provider import Provider
from upsim.engine.bound_provider import bind
from upsim.providers import discover
from upsim.scenario.loader import Library

PROVIDERS: Mapping[str, Provider] = discover()


def bound_without(provider: str, *names: str) -> None:
    """Bind a provider to its baseline without some of its errors."""
    scenario = Library().baseline(provider)
    found: Rules = rules(scenario.baseline, scenario.baseline.dialects[0], {})
    errors = {name: rule for name, rule in found.errors.items() if name not in names}
    bind(PROVIDERS[provider], replace(found, errors=errors), scenario)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", ALWAYS_NEEDED)
def test_errors_of_the_framework_are_required(provider: str, name: str) -> None:
    """A provider must define errors for unknown routes, wrong methods, missing files and bugs."""
    with pytest.raises(BaselineError, match=f"{provider}: .* lack '{name}'.*every provider"):
        bound_without(provider, name)


def test_errors_of_the_checks_are_required() -> None:
    """One error lists every missing error rule, each with the check that needs it."""
    with pytest.raises(BaselineError) as found:
        bound_without("piapi", "insufficient_funds", "rate_limited")
    message = str(found.value)
    assert "'rate_limited' (the check 'within_rates' says it)" in message
    assert "'insufficient_funds' (the check 'affordable' says it)" in message


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_baseline_has_its_required_errors(provider: str) -> None:
    """The four shipped baselines define all required errors."""
    bound_without(provider)


@pytest.mark.parametrize(
    ("checks", "flaw"),
    [
        (("authenticated", "authenticated"), "authenticated is there twice"),
        (("within_rates",), "within_rates builds on authenticated or issued_key, which must come"),
        ((), "lacks authenticated or issued_key, on which credits builds"),
    ],
)
def test_checks_run_after_the_checks_they_need(checks: tuple[str, ...], flaw: str) -> None:
    """The server refuses an order of checks that would crash, even without validation."""
    scenario = Library().baseline("vicsee")
    found = rules(scenario.baseline, "guide", {})
    orders = {**scenario.baseline.checks, "credits": checks}
    with pytest.raises(BaselineError, match=f"vicsee: checks.credits: {flaw}"):
        bind(
            PROVIDERS["vicsee"],
            replace(found, baseline=replace(found.baseline, checks=orders)),
            scenario,
        )
