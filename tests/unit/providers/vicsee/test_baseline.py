"""The baseline of VicSee: valid, complete, and in step with the code and the published table."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

import upsim.providers.vicsee
from upsim.core.baseline import ErrorRule, Fact, Knob, Model, Plan, rules
from upsim.core.states import State
from upsim.providers.vicsee import PROVIDER
from upsim.scenario.loader import Library, schema_mistakes, shipped_root
from upsim.scenario.references import reference_mistakes

LIBRARY = Library()
BASELINE = LIBRARY.baseline("vicsee").baseline
FOLDER = Path(upsim.providers.vicsee.__file__).parent
EXAMPLES = Path(__file__).parents[4] / "contracts/upsim_contracts/vicsee/examples.yaml"
PUBLISHED: dict[str, Any] = yaml.load(EXAMPLES.read_text("utf-8"), Loader=yaml.SafeLoader)
SCENARIOS = [name for name in LIBRARY.names() if name.startswith("vicsee/")]
OF_THE_FRAMEWORK = {
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
    "no_route",
    "wrong_method",
    "internal",
    "file_gone",
    "upload_expired",
    "upload_bad_signature",
    "upload_taken",
    "upload_wrong_size",
}


def named_in_python(called: str) -> set[str]:
    """Return the literal first arguments of every call of a function in the provider's code."""
    names = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                function = (getattr(node.func, "id", ""), getattr(node.func, "attr", ""))
                first = node.args[0]
                if called in function and isinstance(first, ast.Constant):
                    names.add(str(first.value))
    return names


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_file_fits_the_schema(name: str) -> None:
    """Neither the reader nor the schema finds a mistake in what is shipped for VicSee."""
    tree = LIBRARY.resolve(LIBRARY.path_of(name))

    mistakes = [*tree.mistakes, *schema_mistakes(tree, shipped_root() / "schema.json")]

    assert mistakes == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_name_in_the_file_exists(name: str) -> None:
    """Knob values, plans, failures and dialects that a file names are defined."""
    assert list(reference_mistakes(LIBRARY.resolve(LIBRARY.path_of(name)))) == []


def test_every_operation_has_its_checks() -> None:
    """The baseline orders the checks of every operation and of nothing else."""
    assert {operation.name for operation in PROVIDER.operations} == set(BASELINE.checks)


def test_every_ordered_check_exists() -> None:
    """Every check that the baseline names is a function of the provider or of the framework."""
    named = {name for names in BASELINE.checks.values() for name in names}

    assert named - set(PROVIDER.checks) == set()


def test_every_raised_error_is_in_the_catalogue() -> None:
    """Whatever the code or the framework may refuse for has a status and a text."""
    assert (named_in_python("Violation") | OF_THE_FRAMEWORK) - set(BASELINE.errors) == set()


def test_no_error_is_there_for_nothing() -> None:
    """Every entry of the catalogue is one that the code or the framework may refuse for."""
    assert set(BASELINE.errors) - named_in_python("Violation") - OF_THE_FRAMEWORK == set()


@pytest.mark.parametrize("knob", sorted(BASELINE.knobs))
def test_every_knob_turns_something(knob: str) -> None:
    """A knob is read by the provider's code, by the framework, or chooses a text."""
    by_the_framework = {"duplicate_keys", "rate_scope"}
    by_text = {
        name for rule in BASELINE.errors.values() for when, _ in rule.variants for name in when
    }
    by_state = {"initial_status", "completed_status"}

    assert knob in named_in_python("knob") | by_the_framework | by_text | by_state


def test_every_state_has_a_status_word() -> None:
    """Each state of a job has a word."""
    assert set(State) == set(BASELINE.statuses)


def test_only_unsuccessful_ends_are_refunded() -> None:
    """Credits are "refunded automatically if the upscale fails"."""
    assert set(BASELINE.refund.states) == {"failed", "cancelled", "timeout"}


@pytest.mark.parametrize("row", PUBLISHED["errors"], ids=lambda row: row["code"])
def test_the_page_s_errors(row: dict[str, Any]) -> None:
    """Each code of the page has its status and its description as text."""
    found = [rule for rule in BASELINE.errors.values() if rule.code == row["code"]]

    assert found
    assert {(row["status"], row["description"])} == {(r.status, r.message) for r in found}


def test_the_live_dialect_differs_in_the_initial_status() -> None:
    """`live` differs from `guide` in one knob."""
    guide, live = (rules(BASELINE, dialect, {}).knobs for dialect in ("guide", "live"))

    changed = {name: value for name, value in live.items() if guide[name] != value}
    assert changed == {"initial_status": "processing"}


@pytest.mark.parametrize(
    ("plan", "limit"), [("unlimited", None), ("starter", 100), ("pro", 500), ("enterprise", None)]
)
def test_requests_a_day_of_each_plan(plan: str, limit: int | None) -> None:
    """Starter, Pro and Enterprise have the limits of the rate limit page."""
    rates = BASELINE.plans[plan].rates

    assert [rate.limit for rate in rates] == ([] if limit is None else [limit])


def test_the_free_plan_has_no_access() -> None:
    """A free account gets 403, not a limit of zero."""
    assert not BASELINE.plans["free"].access


def test_every_fact_has_evidence() -> None:
    """Every limit, fact, error, plan, model and knob has a grade, a source and a date."""
    entries: list[Fact | ErrorRule | Knob | Plan | Model] = [
        *BASELINE.limits.values(),
        *BASELINE.facts.values(),
        *BASELINE.headers.values(),
        *BASELINE.retention.values(),
        *BASELINE.statuses.values(),
        *BASELINE.errors.values(),
        *BASELINE.failures.values(),
        *BASELINE.knobs.values(),
        *BASELINE.plans.values(),
        *BASELINE.hosts.values(),
        *BASELINE.models.values(),
    ]

    assert [e for e in entries if not (e.evidence.source and e.evidence.date)] == []
