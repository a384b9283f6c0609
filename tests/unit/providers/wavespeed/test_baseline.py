"""The baseline of WaveSpeedAI: valid, complete, and in step with the code."""

import ast
from collections.abc import Mapping
from pathlib import Path

import pytest

import upsim.providers.wavespeed
from upsim.core.baseline import ErrorRule, Fact, Knob, Plan, rules
from upsim.core.states import State
from upsim.providers.wavespeed import PROVIDER
from upsim.providers.wavespeed.checks import is_switch
from upsim.scenario.loader import Library, schema_mistakes, shipped_root

LIBRARY = Library()
BASELINE = LIBRARY.baseline("wavespeed").baseline
FOLDER = Path(upsim.providers.wavespeed.__file__).parent
COMMON_ERRORS = [
    "missing_key",
    "unknown_key",
    "no_access",
    "rate_limited",
    "body_too_large",
    "wrong_content_type",
    "not_json",
    "not_an_object",
    "unreachable",
    "not_a_video",
    "not_decodable",
    "too_large",
    "too_long",
    "output_too_large",
    "insufficient_funds",
    "unknown_job",
    "no_route",
    "wrong_method",
    "internal",
    "file_gone",
    "upload_expired",
    "upload_bad_signature",
    "upload_taken",
    "upload_wrong_size",
]
PARAMETER_KINDS = {"text", "whole", "switch", "object", "texts", "moment", "milliseconds"}


def texts_in_python() -> set[str]:
    """Return every text that stands in the provider's code."""
    return {
        node.value
        for path in FOLDER.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def raised_in_python() -> set[str]:
    """Return every text in the first argument of a `Violation(...)` in the provider's code."""
    return {
        constant.value
        for path in FOLDER.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Violation"
        for constant in ast.walk(node.args[0])
        if isinstance(constant, ast.Constant)
        if isinstance(constant.value, str) and constant.value != "refusal"
    }


def parameter_tables() -> list[tuple[str, Mapping[str, Mapping[str, object]]]]:
    """Return the tables of body fields, by operation."""
    return [
        (name.removeprefix("parameters/"), fact.value)  # type: ignore[misc]  # a table of tables
        for name, fact in BASELINE.facts.items()
        if name.startswith("parameters/")
    ]


def test_the_file_fits_the_schema() -> None:
    """Neither the reader nor the schema finds a mistake in the baseline."""
    tree = LIBRARY.resolve(LIBRARY.path_of("wavespeed/baseline"))

    mistakes = [*tree.mistakes, *schema_mistakes(tree, shipped_root() / "schema.json")]

    assert mistakes == []


def test_every_operation_has_its_checks() -> None:
    """The baseline orders the checks of every operation and of nothing else."""
    assert {operation.name for operation in PROVIDER.operations} == set(BASELINE.checks)


def test_every_ordered_check_exists() -> None:
    """Every check that the baseline names is a function of the provider or of the framework."""
    named = {name for names in BASELINE.checks.values() for name in names}

    assert named <= set(PROVIDER.checks)


def test_every_raised_error_is_in_the_catalogue() -> None:
    """Whatever the code or the framework may refuse for has a status and a text."""
    refusals = {
        str(p.facts["refusal"].value)
        for p in BASELINE.plans.values()
        if p.facts.keys() == {"refusal"}
    }

    assert raised_in_python() | set(COMMON_ERRORS) | refusals <= set(BASELINE.errors)


def test_no_text_of_the_catalogue_stands_in_the_code() -> None:
    """Messages of errors and failures are data: the code holds none of them."""
    rules_of = [*BASELINE.errors.values(), *BASELINE.failures.values()]

    assert texts_in_python().isdisjoint({rule.message for rule in rules_of})


def test_every_plan_without_access_says_how_it_is_refused() -> None:
    """A plan that may not use the API names the answer that its calls get."""
    without = [plan for plan in BASELINE.plans.values() if not plan.access]

    assert [p.name for p in without] == ["inactive", "suspended", "restricted"]
    assert all(p.facts["refusal"].value in BASELINE.errors for p in without)


@pytest.mark.parametrize("name", sorted(BASELINE.errors))
def test_code_and_status_are_equal(name: str) -> None:
    """The envelope's code is the HTTP status, but for the record of a held submit."""
    for knobs in ({}, {"validation_status": "422", "funds_refusal": "402"}):
        rule = rules(BASELINE, "guide", knobs).errors[name]

        assert rule.code == (5004 if name == "sync_timed_out" else rule.status)


def test_every_state_has_a_status_word() -> None:
    """Each state of a job has a word, and the words are those that the list filter takes."""
    filters = next(rows for name, rows in parameter_tables() if name == "predictions")

    assert set(State) == set(BASELINE.statuses)
    assert {fact.value for fact in BASELINE.statuses.values()} == set(filters["status"]["allowed"])  # type: ignore[call-overload]  # a tuple


@pytest.mark.parametrize(
    ("operation", "rows"), parameter_tables(), ids=lambda value: str(value)[:30]
)
def test_parameter_tables_speak_of_operations_and_kinds(
    operation: str, rows: Mapping[str, Mapping[str, object]]
) -> None:
    """Each table belongs to an operation that checks it, each line has a kind that code knows."""
    assert "well_formed" in BASELINE.checks[operation]
    assert {row["kind"] for row in rows.values()} <= PARAMETER_KINDS
    assert set(BASELINE.facts["kinds"].value) == PARAMETER_KINDS  # type: ignore[arg-type]  # a table


def test_every_operation_that_checks_a_table_has_one() -> None:
    """No operation asks for a table that the baseline lacks."""
    checked = {name for name, names in BASELINE.checks.items() if "well_formed" in names}

    assert checked == {name for name, _ in parameter_tables()}


def test_every_option_has_a_description() -> None:
    """The list of models can describe each parameter, and knows which of them are booleans."""
    for model in BASELINE.models.values():
        assert {"video", *model.options} <= set(model.facts)

    options = BASELINE.models["wavespeed-ai/video-upscaler"].options
    assert [o.name for o in options.values() if is_switch(o)] == ["copy_audio"]


def test_the_live_dialect_differs_in_the_digits_of_times_only() -> None:
    """`live` writes nine fractional digits in `created_at` and is else as `guide`."""
    guide, live = (rules(BASELINE, dialect, {}).knobs for dialect in ("guide", "live"))

    changed = {name: value for name, value in live.items() if guide[name] != value}
    assert changed == {"created_at_digits": "9"}


@pytest.mark.parametrize("name", ["failed", "cancelled", "timeout"])
def test_every_unsuccessful_end_is_refunded(name: str) -> None:
    """Only successful tasks cost something."""
    assert name in BASELINE.refund.states


def test_every_fact_has_evidence() -> None:
    """Every limit, fact, error and knob has a grade, a source and a date."""
    entries: list[Fact | ErrorRule | Knob | Plan] = [
        *BASELINE.limits.values(),
        *BASELINE.facts.values(),
        *BASELINE.retention.values(),
        *BASELINE.statuses.values(),
        *BASELINE.errors.values(),
        *BASELINE.failures.values(),
        *BASELINE.knobs.values(),
        *BASELINE.plans.values(),
        *BASELINE.hosts.values(),
    ]

    assert all(e.evidence.source and e.evidence.date for e in entries)
