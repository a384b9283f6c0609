"""The terms of a job: price, output and plan together."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from tests.unit.core.conftest import BILLING, SCALE, VIDEO, WHY, error, lifecycle
from upsim.core.baseline import Model
from upsim.core.events import OutputPlan
from upsim.core.job_spec import JobSpec, failing, failure_of, measures, terms
from upsim.core.lifecycle import JobDuration, PhaseRule
from upsim.core.media import Media
from upsim.core.states import Failure, JobState, Phase

MODEL = Model("model", "Model", {}, BILLING, lifecycle(), SCALE, {}, WHY)
BROKEN = Failure("broken", 500, "It broke.")
STEPS = (
    PhaseRule(JobState.WAITING, JobDuration(base=Decimal(2))),
    PhaseRule(JobState.PROCESSING, JobDuration(base=Decimal(58))),
    PhaseRule(JobState.COMPLETED, None),
)


def offered(media: Media | None, failure: str | None = None) -> JobSpec:
    """Return the terms for a video at factor 2."""
    return terms(
        MODEL,
        media=media,
        options={"factor": "2"},
        steps=STEPS,
        pace=Decimal(1),
        failures={"broken": BROKEN},
        failure=failure,
    )


def test_the_price() -> None:
    """The debit of a job is its price with a negative sign."""
    found = offered(VIDEO)

    assert (Decimal(144), Decimal(-144)) == (found.quote.amount, found.debit)


def test_the_output() -> None:
    """The output of a job follows from the video and the options."""
    assert offered(VIDEO).output == OutputPlan(1708, 960, audio=True)


def test_the_options_are_a_copy() -> None:
    """Later changes of the request's options do not change the options of the job."""
    assert offered(VIDEO).options == {"factor": "2"}


def test_the_plan() -> None:
    """The plan has the steps as given."""
    assert [phase.state for phase in offered(VIDEO).phases] == [step.state for step in STEPS]


def test_without_a_video() -> None:
    """A job with an unavailable video has no output and no billed seconds."""
    found = offered(None)

    assert found.output is None
    assert found.quote.amount == 0


def test_a_plan_that_ends_in_a_failure() -> None:
    """A failure replaces the last step of the plan and does not change the price."""
    found = offered(VIDEO, "broken")

    assert Phase(JobState.FAILED, failure=BROKEN) == found.phases[-1]
    assert (3, Decimal(144)) == (len(found.phases), found.quote.amount)


def test_failing_keeps_what_comes_before() -> None:
    """A plan that fails keeps all steps before the last one."""
    assert failing(STEPS, "broken")[:-1] == STEPS[:-1]


@pytest.mark.parametrize(
    ("media", "output", "expected"),
    [
        (None, None, {"seconds": 0, "frames": 0}),
        (VIDEO, None, {"seconds": Decimal("8.5"), "frames": 255, "frame_rate": Fraction(30)}),
        (
            None,
            OutputPlan(1708, 960, audio=False),
            {"seconds": 0, "frames": 0, "output_height": 960},
        ),
    ],
)
def test_measures(
    media: Media | None, output: OutputPlan | None, expected: dict[str, object]
) -> None:
    """A price can use the options and the known properties of the video and the output."""
    assert {"factor": "2", **expected} == measures(media, {"factor": "2"}, output)


def test_a_failure_from_the_catalogue() -> None:
    """A failure has the catalogue entry's code, its completed text and its other fields."""
    rule = error("broken", "It broke after {seconds} s.", code=500, extra={"key": "generic"})

    assert failure_of(rule, seconds=7) == Failure(
        "broken", 500, "It broke after 7 s.", status=400, extra=(("key", "generic"),)
    )
