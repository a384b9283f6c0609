"""Webhooks: a provider's rule for them, and a notification with its attempts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from upsim.core.events import AttemptMade, DeliveryCreated, DeliveryEnded
from upsim.core.evidence import Evidence
from upsim.core.instants import SECOND, Instant
from upsim.core.states import JobState

GOOD = range(200, 300)
"""The statuses that every provider takes for "received"."""
ON_PROCESSING = "webhook_on_processing"
FIRST_ATTEMPT = "webhook_first_attempt"

FaultKind = Literal[
    "lose", "duplicate", "reorder", "late", "early", "bad_signature", "stale_signature", "respond"
]


class WebhookRule(msgspec.Struct, frozen=True):
    """The webhook rules of a provider: when it sends, how often it retries, and what it sends.

    `pauses` are between the attempts (the last pause is repeated); `timeout` is the limit for
    a response; `signing` names the scheme, whose header names are in `headers`.
    """

    states: tuple[JobState, ...]
    attempts: int
    pauses: tuple[Instant, ...]
    timeout: Instant
    signing: str
    headers: Mapping[str, str]
    evidence: Mapping[str, Evidence]

    def under(self, knobs: Mapping[str, str]) -> WebhookRule:
        """Return the rule with the knobs for webhooks applied."""
        attempts = self.attempts + (knobs.get(FIRST_ATTEMPT) == "extra")
        states = self.states
        if knobs.get(ON_PROCESSING) == "yes":
            states = (JobState.PROCESSING, *states)
        return replace(self, attempts=attempts, states=states)

    def pause_after(self, number: int) -> Instant | None:
        """Return the pause after a failed attempt; None if it was the last attempt."""
        if number >= self.attempts or not self.pauses:
            return None
        return self.pauses[min(number, len(self.pauses)) - 1]


class WebhookFault(msgspec.Struct, frozen=True):
    """A fault in one attempt. `after` is the delay (or how early or stale the timestamp is).

    `lose`: the webhook is sent but never arrives, and is not retried. `duplicate`: it arrives
    twice. `reorder`: it waits until another delivery was made, at most `after`. `respond`:
    the provider reads this `status` instead of the receiver's response, and the receiver gets
    nothing.
    """

    kind: FaultKind
    after: Instant = 0
    status: int = 500


class AttemptOutcome(NamedTuple):
    """The outcome of one attempt: a status, or an error message; the response may be truncated."""

    status: int | None
    error: str = ""
    answer: bytes = b""
    refused: bool = False

    @property
    def good(self) -> bool:
        """Whether the receiver accepted the webhook."""
        return self.status in GOOD


class Delivery(msgspec.Struct, frozen=True):
    """One notification of one job, and the attempts to deliver it, oldest first."""

    created: DeliveryCreated
    attempts: tuple[AttemptMade, ...] = ()
    ended: DeliveryEnded | None = None

    @property
    def id(self) -> str:
        """The id of the delivery, which all its attempts share."""
        return self.created.delivery

    @property
    def tries(self) -> int:
        """The number of attempts of the provider's own schedule."""
        return max((attempt.number for attempt in self.attempts), default=0)

    @property
    def arrived(self) -> bool:
        """Whether a receiver accepted any of the attempts."""
        return any(attempt.status in GOOD and not attempt.unsent for attempt in self.attempts)

    @property
    def outcome(self) -> str:
        """`pending` until the delivery ended, then its outcome."""
        return "pending" if self.ended is None else self.ended.outcome


def stamp(instant: Instant) -> int:
    """Return the Unix second of a time, as providers write it."""
    return instant // SECOND
