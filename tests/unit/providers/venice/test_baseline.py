"""The baseline of Venice: valid, complete, and in step with the code."""

import ast
from pathlib import Path

import pytest

import upsim.providers.venice
from upsim.core.baseline import rules
from upsim.core.states import State
from upsim.providers.venice import PROVIDER
from upsim.scenario.loader import Library, schema_mistakes, shipped_root

LIBRARY = Library()
BASELINE = LIBRARY.baseline("venice").baseline
FOLDER = Path(upsim.providers.venice.__file__).parent
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


def texts_of(tree: ast.AST) -> set[str]:
    """Return every plain text in a piece of code."""
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {value for value in values if isinstance(value, str)}


def words_in_python() -> set[str]:
    """Return every plain text that stands in the provider's code."""
    trees = [ast.parse(path.read_text("utf-8")) for path in FOLDER.glob("*.py")]
    return {text for tree in trees for text in texts_of(tree)}


def raised_in_python() -> set[str]:
    """Return the first argument of every `Violation(...)` that is a plain text."""
    names: set[str] = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Violation":
                names |= texts_of(node.args[0]) - {"missing"}
    return names


@pytest.mark.parametrize("name", ["baseline", "older-guide", "measured-prices"])
def test_the_files_fit_the_schema(name: str) -> None:
    """Neither the reader nor the schema finds a mistake in the baseline and the scenarios."""
    tree = LIBRARY.resolve(LIBRARY.path_of(f"venice/{name}"))
    mistakes = [*tree.mistakes, *schema_mistakes(tree, shipped_root() / "schema.json")]

    assert mistakes == []


def test_every_check_exists_and_every_operation_has_its_list() -> None:
    """The baseline orders checks that there are, for the operations that there are."""
    named = {name for checks in BASELINE.checks.values() for name in checks}

    assert named <= PROVIDER.checks.keys()
    assert {operation.name for operation in PROVIDER.operations} == BASELINE.checks.keys()


def test_every_violation_is_in_the_catalogue() -> None:
    """What the code raises and what the engine raises has a status and a text."""
    derived = {"too_long_on_quote", "too_short_on_quote", "too_short"}

    assert raised_in_python() | derived | set(COMMON_ERRORS) <= BASELINE.errors.keys()


def test_every_error_is_raised_or_left_to_faults() -> None:
    """No entry of the catalogue is forgotten: the rest can only be injected."""
    faults = {"overloaded", "bad_gateway", "at_capacity", "model_offline"}
    raised = words_in_python() | set(COMMON_ERRORS) | {"too_long_on_quote", "too_short_on_quote"}

    assert BASELINE.errors.keys() - raised == faults


def test_no_text_status_or_price_of_venice_stands_in_python() -> None:
    """Messages and limits are data: none of them is a constant of the code."""
    rows = [*BASELINE.errors.values(), *BASELINE.failures.values()]
    variants = [variant for row in rows for _, variant in row.variants]

    assert words_in_python().isdisjoint(row.message for row in [*rows, *variants])


def test_every_knob_is_read() -> None:
    """Each knob is asked for in the code, or chooses a variant of an error."""
    rows = [*BASELINE.errors.values(), *BASELINE.failures.values()]
    choosing = {name for row in rows for when, _ in row.variants for name in when}
    of_the_decoder = {"duplicate_keys"}

    assert BASELINE.knobs.keys() <= words_in_python() | choosing | of_the_decoder


@pytest.mark.parametrize("dialect", ["guide", "live", "auto"])
def test_each_dialect_sets_every_knob(dialect: str) -> None:
    """A dialect is a whole set of knob values, each of them allowed."""
    found = rules(BASELINE, dialect, {}).knobs

    assert found.keys() == BASELINE.knobs.keys()
    assert all(found[name] in knob.values for name, knob in BASELINE.knobs.items())


def test_auto_differs_from_guide_by_the_form_of_the_result_alone() -> None:
    """The dialect auto is the guide's, but for retrieve."""
    guide, auto = rules(BASELINE, "guide", {}).knobs, rules(BASELINE, "auto", {}).knobs

    assert {name for name in guide if guide[name] != auto[name]} == {"retrieve_form"}


def test_every_state_has_a_status() -> None:
    """There is a word for each state of a job."""
    assert {state.value for state in State} == BASELINE.statuses.keys()


def test_everything_has_evidence() -> None:
    """Errors, knobs, limits and facts say from where they are known, and since when."""
    facts = [BASELINE.limits, BASELINE.facts, BASELINE.headers, BASELINE.retention]
    rows = [row for table in facts for row in table.values()]
    found = [row.evidence for row in rows]
    found += [row.evidence for row in BASELINE.errors.values()]
    found += [row.evidence for row in BASELINE.knobs.values()]
    found += [row.evidence for row in BASELINE.plans.values()]

    assert all(evidence.source and evidence.date for evidence in found)
