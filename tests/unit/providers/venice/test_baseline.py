"""The baseline of Venice: valid, complete, and in step with the code."""

import pytest

from tests.unit.providers.source_code import FRAMEWORK_ERRORS, UPLOAD_ERRORS, texts_in
from upsim.core.knobs import rules
from upsim.scenario.loader import Library

LIBRARY = Library()
BASELINE = LIBRARY.baseline("venice").baseline


def test_every_composed_violation_is_in_the_catalogue() -> None:
    """Names that the code puts together have a status and a text as well."""
    assert {"too_long_on_quote", "too_short_on_quote", "too_short"} <= BASELINE.errors.keys()


def test_every_error_is_raised_or_left_to_faults() -> None:
    """No entry of the catalogue is forgotten: the rest can only be injected."""
    faults = {"overloaded", "bad_gateway", "at_capacity", "model_offline"}
    raised = texts_in("venice") | FRAMEWORK_ERRORS | UPLOAD_ERRORS
    raised |= {"too_long_on_quote", "too_short_on_quote"}

    assert BASELINE.errors.keys() - raised == faults


def test_every_knob_is_read() -> None:
    """Each knob is asked for in the code, or chooses a variant of an error."""
    rows = [*BASELINE.errors.values(), *BASELINE.failures.values()]
    choosing = {name for row in rows for when, _ in row.variants for name in when}
    of_the_framework = {"duplicate_keys", "storage_cors"}

    assert BASELINE.knobs.keys() <= texts_in("venice") | choosing | of_the_framework


@pytest.mark.parametrize("dialect", ["guide", "live", "auto"])
def test_each_dialect_sets_every_knob(dialect: str) -> None:
    """A dialect is a whole set of knob values, each of them allowed."""
    found = rules(BASELINE, dialect, {}).knobs

    assert found.keys() == BASELINE.knobs.keys()
    assert all(found[name] in knob.values for name, knob in BASELINE.knobs.items())


def test_auto_differs_from_guide_by_the_form_of_the_result_alone() -> None:
    """The dialect auto is the guide's, but for retrieve."""
    guide, auto = rules(BASELINE, "guide", {}).knobs, rules(BASELINE, "auto", {}).knobs

    different = {name for name in guide if guide[name] != auto[name]}
    assert different == {"retrieve_form"}
    assert BASELINE.dialects[0] == "auto"
