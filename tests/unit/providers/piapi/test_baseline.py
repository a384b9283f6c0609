"""The baseline of PiAPI: valid, complete, and in step with the code."""

import pytest

from upsim.core.knobs_and_dialects import rules
from upsim.core.states import JobState
from upsim.scenario.loader import Library

LIBRARY = Library()
BASELINE = LIBRARY.baseline("piapi").baseline


def test_every_state_has_a_status_word() -> None:
    """Each PiAPI job state has a status word, also the state `staged`."""
    assert {*JobState, "staged"} == set(BASELINE.statuses)


@pytest.mark.parametrize("name", ["failed", "cancelled", "timeout"])
def test_every_unsuccessful_end_is_refunded(name: str) -> None:
    """Only successful PiAPI tasks cost points."""
    assert name in BASELINE.refund.states


@pytest.mark.parametrize("name", sorted(BASELINE.errors))
def test_code_and_status_are_equal(name: str) -> None:
    """The code of PiAPI's envelope is the HTTP status; a text response has no code."""
    for knobs in ({}, {"funds_status": "400"}):
        rule = rules(BASELINE, "guide", knobs).errors[name]

        assert rule.code == (None if "Content-Type" in rule.headers else rule.status)


def test_the_live_dialect_is_the_wrapped_envelope_only() -> None:
    """PiAPI's `live` dialect differs from `guide` only in the format of two responses."""
    guide, live = (rules(BASELINE, dialect, {}).knobs for dialect in ("guide", "live"))

    changed = {name: value for name, value in live.items() if guide[name] != value}
    assert changed == {"response_form": "wrapped", "upload_form": "wrapped"}
