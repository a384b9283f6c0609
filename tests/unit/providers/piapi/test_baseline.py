"""The baseline of PiAPI: valid, complete, and in step with the code."""

import pytest

from upsim.core.knobs import rules
from upsim.core.states import JobState
from upsim.scenario.loader import Library

LIBRARY = Library()
BASELINE = LIBRARY.baseline("piapi").baseline


def test_every_state_has_a_status_word() -> None:
    """Each state of a job has a word, and staged tasks have one of their own."""
    assert {*JobState, "staged"} == set(BASELINE.statuses)


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
