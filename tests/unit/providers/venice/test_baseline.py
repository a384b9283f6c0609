"""The baseline of Venice: valid, complete, and in step with the code."""

import pytest

from tests.unit.providers.source_code import FRAMEWORK_ERRORS, UPLOAD_ERRORS, texts_in
from upsim.core.knobs_and_dialects import rules
from upsim.scenario.loader import Library

LIBRARY = Library()
BASELINE = LIBRARY.baseline("venice").baseline


def test_every_composed_error_name_is_in_the_catalogue() -> None:
    """Error names that Venice's code composes have a status and a text in the catalogue."""
    assert {"too_long_on_quote", "too_short_on_quote", "too_short"} <= BASELINE.errors.keys()


def test_every_error_is_raised_or_left_to_faults() -> None:
    """Each catalogue entry of Venice is raised by the code or listed as fault-only."""
    faults = {"overloaded", "bad_gateway", "at_capacity", "model_offline"}
    raised = texts_in("venice") | FRAMEWORK_ERRORS | UPLOAD_ERRORS
    raised |= {"too_long_on_quote", "too_short_on_quote"}

    assert BASELINE.errors.keys() - raised == faults


def test_every_knob_is_used() -> None:
    """Each Venice knob is read by the code or selects an error variant."""
    rows = [*BASELINE.errors.values(), *BASELINE.failures.values()]
    choosing = {name for row in rows for when, _ in row.variants for name in when}
    of_the_framework = {"duplicate_keys", "storage_cors"}

    assert BASELINE.knobs.keys() <= texts_in("venice") | choosing | of_the_framework


@pytest.mark.parametrize("dialect", ["guide", "live", "auto"])
def test_each_dialect_sets_every_knob(dialect: str) -> None:
    """Each Venice dialect sets every knob to an allowed value."""
    found = rules(BASELINE, dialect, {}).knobs

    assert found.keys() == BASELINE.knobs.keys()
    assert all(found[name] in knob.values for name, knob in BASELINE.knobs.items())


def test_auto_differs_from_guide_by_the_result_format_alone() -> None:
    """Venice's `auto` dialect differs from `guide` only in the format of `retrieve`."""
    guide, auto = rules(BASELINE, "guide", {}).knobs, rules(BASELINE, "auto", {}).knobs

    different = {name for name in guide if guide[name] != auto[name]}
    assert different == {"retrieve_form"}
    assert BASELINE.dialects[0] == "auto"
