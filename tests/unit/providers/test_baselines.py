"""Every baseline that was found: valid, complete, and in step with its provider's code."""

import pytest

from tests.unit.providers.source_code import (
    FRAMEWORK_ERRORS,
    SIGNED_UPLOAD_ERRORS,
    UPLOAD_ERRORS,
    named_in,
    texts_in,
)
from upsim.core.baseline import Baseline
from upsim.core.states import JobState
from upsim.providers import discover
from upsim.scenario.loader import Library

LIBRARY = Library()
PROVIDERS = list(discover())
each_provider = pytest.mark.parametrize("provider", PROVIDERS)


def baseline_of(provider: str) -> Baseline:
    """Return the facts of a provider."""
    return LIBRARY.baseline(provider).baseline


def test_every_provider_has_a_baseline() -> None:
    """Each provider has both code and a baseline."""
    assert list(LIBRARY.providers()) == PROVIDERS


@pytest.mark.parametrize("name", LIBRARY.names())
def test_shipped_scenario_has_no_mistake(name: str) -> None:
    """Each shipped scenario, with the files it extends, is valid and uses only existing names."""
    tree = LIBRARY.resolve_name(name)

    mistakes = [*tree.mistakes, *LIBRARY.mistakes_in(tree, discover())]

    assert mistakes == []


@each_provider
def test_every_operation_has_its_checks(provider: str) -> None:
    """Each baseline lists the checks of exactly the existing operations."""
    operations = {operation.name for operation in discover()[provider].operations}

    assert operations == set(baseline_of(provider).checks)


@each_provider
def test_every_ordered_check_exists(provider: str) -> None:
    """Every check that the baseline names is a function of the provider or of the framework."""
    named = {name for names in baseline_of(provider).checks.values() for name in names}

    assert named - set(discover()[provider].checks) == set()


@each_provider
def test_every_order_fits_the_needs_of_its_checks(provider: str) -> None:
    """In each baseline, a check runs only after the checks whose results it needs."""
    found, orders = discover()[provider], baseline_of(provider).checks
    uses = found.uses
    needed = {part for use in uses.checks.values() for part in use.needs}

    assert uses.checks.keys() <= found.checks.keys()
    assert uses.operations.keys() <= orders.keys()
    assert [part for part in needed if not uses.givers(part)] == []
    assert [flaw for name, order in orders.items() for flaw in uses.flaws(name, order)] == []


@each_provider
def test_every_raised_error_is_in_the_catalogue(provider: str) -> None:
    """Each refusal in provider code or framework has a status and a text in the catalogue."""
    raised = named_in(provider, "Violation") | FRAMEWORK_ERRORS
    if any(operation.kind == "upload" for operation in discover()[provider].operations):
        raised |= UPLOAD_ERRORS
    if "upload_headers" in baseline_of(provider).knobs:
        raised |= SIGNED_UPLOAD_ERRORS

    assert raised - set(baseline_of(provider).errors) == set()


@each_provider
def test_no_catalogue_text_is_in_the_code(provider: str) -> None:
    """Error and failure texts are only in the catalogue, never in the code."""
    baseline = baseline_of(provider)
    rules = [*baseline.errors.values(), *baseline.failures.values()]
    variants = [variant for rule in rules for _, variant in rule.variants]

    assert texts_in(provider) & {rule.message for rule in (*rules, *variants)} == set()


@each_provider
def test_every_state_has_a_status_word(provider: str) -> None:
    """Each job state of each provider has a status word."""
    assert set(JobState) - set(baseline_of(provider).statuses) == set()


@each_provider
def test_everything_has_evidence(provider: str) -> None:
    """Every fact, error, plan, model and knob has a source and a date."""
    baseline = baseline_of(provider)
    tables = (
        baseline.limits,
        baseline.facts,
        baseline.headers,
        baseline.retention,
        baseline.statuses,
        baseline.errors,
        baseline.failures,
        baseline.knobs,
        baseline.plans,
        baseline.hosts,
        baseline.models,
    )

    found = [entry.evidence for table in tables for entry in table.values()]

    assert [evidence for evidence in found if not (evidence.source and evidence.date)] == []
