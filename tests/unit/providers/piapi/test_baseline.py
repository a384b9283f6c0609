"""The baseline of PiAPI: valid, complete, and in step with the code."""

import ast
from pathlib import Path

import pytest

import upsim.providers.piapi
from upsim.core.baseline import ErrorRule, Fact, Knob, Plan, rules
from upsim.core.states import State
from upsim.providers.piapi import PROVIDER
from upsim.scenario.loader import Library, schema_mistakes, shipped_root

LIBRARY = Library()
BASELINE = LIBRARY.baseline("piapi").baseline
FOLDER = Path(upsim.providers.piapi.__file__).parent
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


def raised_in_python() -> set[str]:
    """Return the first argument of every `Violation(...)` in the provider's code."""
    names = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Violation":
                names.add(ast.literal_eval(node.args[0]))
    return names


def test_the_file_fits_the_schema() -> None:
    """Neither the reader nor the schema finds a mistake in the baseline."""
    tree = LIBRARY.resolve(LIBRARY.path_of("piapi/baseline"))

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
    assert raised_in_python() | set(COMMON_ERRORS) <= set(BASELINE.errors)


def test_every_state_has_a_status_word() -> None:
    """Each state of a job has a word, and staged tasks have one of their own."""
    assert {*State, "staged"} == set(BASELINE.statuses)


@pytest.mark.parametrize("name", ["failed", "cancelled", "timeout"])
def test_every_unsuccessful_end_is_refunded(name: str) -> None:
    """Only successful tasks cost something."""
    assert name in BASELINE.refund.states


@pytest.mark.parametrize("name", sorted(BASELINE.errors))
def test_code_and_status_are_equal(name: str) -> None:
    """The envelope's code is the HTTP status; a text answer has no code."""
    for knobs in ({}, {"funds_status": "400"}):
        rule = rules(BASELINE, "guide", knobs).errors[name]

        assert rule.code == (None if "Content-Type" in rule.headers else rule.status)


def test_the_live_dialect_is_the_wrapped_envelope_only() -> None:
    """`live` differs from `guide` in the form of two answers and in nothing else."""
    guide, live = (rules(BASELINE, dialect, {}).knobs for dialect in ("guide", "live"))

    changed = {name: value for name, value in live.items() if guide[name] != value}
    assert changed == {"response_form": "wrapped", "upload_form": "wrapped"}


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
