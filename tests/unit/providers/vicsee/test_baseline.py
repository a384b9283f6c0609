"""The baseline of VicSee: valid, complete, and in step with the code and the published table."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.providers.source_code import (
    FRAMEWORK_ERRORS,
    SIGNED_UPLOAD_ERRORS,
    UPLOAD_ERRORS,
    looked_up_in,
    named_in,
)
from upsim.core.knobs_and_dialects import rules
from upsim.scenario.loader import Library

LIBRARY = Library()
BASELINE = LIBRARY.baseline("vicsee").baseline
EXAMPLES = Path(__file__).parents[4] / "contracts/upsim_contracts/vicsee/facts.yaml"
PUBLISHED: dict[str, Any] = yaml.load(EXAMPLES.read_text("utf-8"), Loader=yaml.CSafeLoader)


def test_every_error_is_raised() -> None:
    """Each catalogue entry of VicSee is raised by its code or by the framework."""
    framework = FRAMEWORK_ERRORS | UPLOAD_ERRORS | SIGNED_UPLOAD_ERRORS
    assert set(BASELINE.errors) - named_in("vicsee", "Violation") - framework == set()


@pytest.mark.parametrize("knob", sorted(BASELINE.knobs))
def test_every_knob_is_used(knob: str) -> None:
    """Each VicSee knob is read by the provider or the framework, or selects a text."""
    by_the_framework = {"duplicate_keys", "rate_scope", "storage_cors", "upload_headers"}
    by_text = {
        name for rule in BASELINE.errors.values() for when, _ in rule.variants for name in when
    }
    by_state = {"initial_status", "completed_status"}

    assert knob in looked_up_in("vicsee", "knobs") | by_the_framework | by_text | by_state


def test_only_unsuccessful_ends_are_refunded() -> None:
    """VicSee refunds only unsuccessful ends: "refunded automatically if the upscale fails"."""
    assert set(BASELINE.refund.states) == {"failed", "cancelled", "timeout"}


@pytest.mark.parametrize("row", PUBLISHED["errors"], ids=lambda row: row["code"])
def test_the_documented_errors(row: dict[str, Any]) -> None:
    """Each error code of VicSee's page has its documented status and description.

    Limits of the simulator have their own texts.
    """
    rules = [rule for rule in BASELINE.errors.values() if rule.code == row["code"]]
    found = [rule for rule in rules if rule.evidence.grade != "assumed"]

    assert found
    assert {row["status"]} == {rule.status for rule in rules}
    assert {(row["status"], row["description"])} == {(r.status, r.message) for r in found}


def test_the_live_dialect_differs_in_the_initial_status() -> None:
    """VicSee's `live` dialect differs from `guide` in one knob only."""
    guide, live = (rules(BASELINE, dialect, {}).knobs for dialect in ("guide", "live"))

    changed = {name: value for name, value in live.items() if guide[name] != value}
    assert changed == {"initial_status": "processing"}


@pytest.mark.parametrize(
    ("plan", "limit"), [("unlimited", None), ("starter", 100), ("pro", 500), ("enterprise", None)]
)
def test_requests_a_day_of_each_plan(plan: str, limit: int | None) -> None:
    """The Starter, Pro and Enterprise plans have VicSee's documented daily limits."""
    rates = BASELINE.plans[plan].rates

    assert [rate.limit for rate in rates] == ([] if limit is None else [limit])


def test_the_free_plan_has_no_access() -> None:
    """A request of a free VicSee account gets a 403, not a rate limit of zero."""
    assert not BASELINE.plans["free"].access
