"""The rule of a provider's webhooks, and a delivery as its attempts add up to it."""

from __future__ import annotations

import pytest

from upsim.core.events import AttemptMade, DeliveryCreated, DeliveryEnded
from upsim.core.instants import SECOND
from upsim.core.states import JobState
from upsim.core.webhooks import AttemptOutcome, Delivery, WebhookRule, stamp

RULE = WebhookRule(
    states=(JobState.COMPLETED,),
    attempts=4,
    pauses=(SECOND, 2 * SECOND),
    timeout=SECOND,
    signing="none",
    headers={},
    evidence={},
)
CREATED = DeliveryCreated(0, "d", "j", JobState.COMPLETED, "http://h", 0, b"{}")


def attempt(number: int, status: int | None, *, unsent: bool = False) -> AttemptMade:
    """Return an attempt of this number that was answered so."""
    return AttemptMade(0, "j", "d", number, 0, (), status, unsent=unsent)


@pytest.mark.parametrize(
    ("number", "pause"), [(1, SECOND), (2, 2 * SECOND), (3, 2 * SECOND), (4, None), (5, None)]
)
def test_pauses_follow_the_rule(number: int, pause: int | None) -> None:
    """The last pause of a webhook rule repeats, and no pause follows the last attempt."""
    assert RULE.pause_after(number) == pause


def test_without_pauses_there_is_one_attempt() -> None:
    """A webhook rule without pauses makes one attempt and no retry."""
    rule = WebhookRule((), 4, (), SECOND, "none", {}, {})

    assert rule.pause_after(1) is None


@pytest.mark.parametrize(
    ("knobs", "attempts", "states"),
    [
        ({}, 4, (JobState.COMPLETED,)),
        ({"webhook_first_attempt": "counts"}, 4, (JobState.COMPLETED,)),
        ({"webhook_first_attempt": "extra"}, 5, (JobState.COMPLETED,)),
        ({"webhook_on_processing": "no"}, 4, (JobState.COMPLETED,)),
        ({"webhook_on_processing": "yes"}, 4, (JobState.PROCESSING, JobState.COMPLETED)),
    ],
)
def test_knobs_change_the_rule(
    knobs: dict[str, str], attempts: int, states: tuple[JobState, ...]
) -> None:
    """A provider's knobs can set the number of webhook attempts and the states."""
    found = RULE.under(knobs)

    assert (attempts, states) == (found.attempts, found.states)


@pytest.mark.parametrize(
    ("status", "good"), [(199, False), (200, True), (299, True), (300, False), (None, False)]
)
def test_2xx_is_accepted(status: int | None, good: bool) -> None:  # noqa: FBT001 - a table
    """A webhook counts as accepted if the receiver responds with a 2xx."""
    assert AttemptOutcome(status).good == good


@pytest.mark.parametrize(
    ("made", "tries", "arrived"),
    [
        ((), 0, False),
        ((attempt(1, 500),), 1, False),
        ((attempt(1, 500), attempt(2, 200)), 2, True),
        ((attempt(1, 500), attempt(0, 200)), 1, True),
        ((attempt(1, 200, unsent=True),), 1, False),
    ],
)
def test_attempts_add_up(
    made: tuple[AttemptMade, ...],
    tries: int,
    arrived: bool,  # noqa: FBT001 - a table
) -> None:
    """Tries count only scheduled attempts, and a delivery arrived only if it was sent."""
    found = Delivery(CREATED, made)

    assert (tries, arrived) == (found.tries, found.arrived)


@pytest.mark.parametrize(
    ("ended", "outcome"), [(None, "pending"), (DeliveryEnded(0, "j", "d", "lost"), "lost")]
)
def test_an_outcome_is_a_word(ended: DeliveryEnded | None, outcome: str) -> None:
    """The outcome of a delivery is `pending` until the delivery has ended."""
    assert Delivery(CREATED, (), ended).outcome == outcome


def test_a_timestamp_is_a_whole_second() -> None:
    """A webhook timestamp is in whole Unix seconds."""
    assert stamp(1_767_225_600_999_999) == 1_767_225_600
