"""The baseline of WaveSpeedAI: valid, complete, and in step with the code."""

from collections.abc import Mapping

import pytest

from upsim.core.knobs_and_dialects import rules
from upsim.core.states import JobState
from upsim.providers.wavespeed import PROVIDER
from upsim.providers.wavespeed.checks import is_switch
from upsim.scenario.loader import Library

LIBRARY = Library()
BASELINE = LIBRARY.baseline("wavespeed").baseline
PARAMETER_KINDS = {"text", "whole", "switch", "object", "texts", "moment", "milliseconds"}


def parameter_tables() -> list[tuple[str, Mapping[str, Mapping[str, object]]]]:
    """Return the tables of body fields, by operation."""
    return [
        (name.removeprefix("parameters/"), fact.value)  # type: ignore[misc]  # a table of tables
        for name, fact in BASELINE.facts.items()
        if name.startswith("parameters/")
    ]


def test_every_plan_without_access_names_its_refusal() -> None:
    """Each WaveSpeed plan without API access names an existing error for its requests."""
    without = [plan for plan in BASELINE.plans.values() if not plan.access]

    assert [p.name for p in without] == ["inactive", "suspended", "restricted"]
    assert all(p.facts["refusal"].value in BASELINE.errors for p in without)


@pytest.mark.parametrize("name", sorted(BASELINE.errors))
def test_code_and_status_are_equal(name: str) -> None:
    """The code in WaveSpeed's envelope is the HTTP status, except after a sync timeout."""
    for knobs in ({}, {"validation_status": "422", "funds_refusal": "402"}):
        rule = rules(BASELINE, "guide", knobs).errors[name]

        assert rule.code == (5004 if name == "sync_timed_out" else rule.status)


def test_every_state_has_a_status_word() -> None:
    """Each WaveSpeed job state has a status word, and the list filter accepts these words."""
    filters = next(rows for name, rows in parameter_tables() if name == "predictions")

    assert set(JobState) == set(BASELINE.statuses)
    assert {fact.value for fact in BASELINE.statuses.values()} == set(filters["status"]["allowed"])  # type: ignore[call-overload]  # a tuple


@pytest.mark.parametrize(
    ("operation", "rows"), parameter_tables(), ids=lambda value: str(value)[:30]
)
def test_parameter_tables_name_operations_and_kinds(
    operation: str, rows: Mapping[str, Mapping[str, object]]
) -> None:
    """Each parameter table belongs to an operation that uses it, and each row has a known type."""
    assert "well_formed" in BASELINE.checks[operation]
    assert {row["kind"] for row in rows.values()} <= PARAMETER_KINDS
    assert set(BASELINE.facts["kinds"].value) == PARAMETER_KINDS  # type: ignore[arg-type]  # a table


def test_every_operation_that_checks_a_table_has_one() -> None:
    """Each operation that checks a parameter table has this table in the baseline."""
    checked = {name for name, names in BASELINE.checks.items() if "well_formed" in names}

    assert checked == {name for name, _ in parameter_tables()}


def test_every_option_has_a_description() -> None:
    """The model list has a description for each parameter and marks the booleans."""
    for model in BASELINE.models.values():
        assert {"video", *model.options} <= set(model.facts)

    options = BASELINE.models["wavespeed-ai/video-upscaler"].options
    assert [o.name for o in options.values() if is_switch(o)] == ["copy_audio"]


def test_the_live_dialect_differs_in_the_digits_of_times_only() -> None:
    """WaveSpeed's `live` dialect differs from `guide` only in the nine digits of `created_at`."""
    guide, live = (rules(BASELINE, dialect, {}).knobs for dialect in ("guide", "live"))

    changed = {name: value for name, value in live.items() if guide[name] != value}
    assert changed == {"created_at_digits": "9"}


@pytest.mark.parametrize("name", ["failed", "cancelled", "timeout"])
def test_every_unsuccessful_end_is_refunded(name: str) -> None:
    """Only successful WaveSpeed tasks are charged in the end."""
    assert name in BASELINE.refund.states


def test_read_fields_are_those_of_the_tables() -> None:
    """The fields that an operation declares as read are those of its parameter table."""
    read = {one.name: {*one.reads.get((), ()), *one.query} for one in PROVIDER.operations}
    tables = {name: set(rows) for name, rows in parameter_tables()}
    assert {name: rows for name, rows in tables.items() if rows != read[name]} == {}
