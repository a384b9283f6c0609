"""The events of a sandbox. The ordered events are its state; nothing else changes it.

Events that occur several times per job are structs of msgspec. They are as immutable as
the dataclasses, and ten times faster to create.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache

import msgspec

from upsim.core.faults import FaultRule
from upsim.core.instants import Instant
from upsim.core.ledger import Entry
from upsim.core.media import Media
from upsim.core.pricing import PriceQuote
from upsim.core.states import Failure, JobState, Phase
from upsim.core.url_builder import UrlBuilder


class AccountOpened(msgspec.Struct, frozen=True):
    """An account was created, on the first use of a key or by an admin call.

    `owner` identifies the keys that share the account.
    """

    at: Instant
    account: int
    provider: str
    name: str
    opening: Decimal
    unit: str
    plan: str
    owner: str = ""


class AccountChanged(msgspec.Struct, frozen=True):
    """The plan of an account was changed; ledger entries alone change its balance."""

    at: Instant
    account: int
    plan: str


class JobAccepted(msgspec.Struct, frozen=True, gc=False):
    """A submit was accepted: everything from which the job's later responses are made.

    `due` is the end of the job's first phase; None if the job is queued or no time ends the phase.
    """

    at: Instant
    job: str
    account: int
    provider: str
    model: str
    operation: str
    inputs: Mapping[str, object]
    options: Mapping[str, str]
    media: Media | None
    output: OutputPlan | None
    quote: PriceQuote
    phases: tuple[Phase, ...]
    origin: UrlBuilder
    rules: str
    source: str
    queued: bool = False
    webhook: WebhookTarget | None = None
    due: Instant | None = None


class OutputPlan(msgspec.Struct, frozen=True):
    """The planned output of a job: displayed size in pixels, and whether it has audio."""

    width: int
    height: int
    audio: bool

    @property
    def dimensions(self) -> str:
        """The displayed size in pixels, such as `2560x1440`."""
        return f"{self.width}x{self.height}"


class WebhookTarget(msgspec.Struct, frozen=True):
    """The URL to which the end of a job is reported. The secret stays in memory.

    An empty `url` means that nothing is sent: PiAPI echoes a secret even without an endpoint.
    """

    url: str
    secret: str = ""


class JobStarted(msgspec.Struct, frozen=True):
    """A queued job got a free slot and follows its plan; `due` is the end of its first phase."""

    at: Instant
    job: str
    due: Instant | None = None


class JobMoved(msgspec.Struct, frozen=True, gc=False):
    """A job entered a state; `planned` says whether its plan led there.

    `due` is the end of the phase that begins. Of the move that ends a job, `refund_at` is the time
    of a later refund, and `kept_until` the time at which the job is forgotten.
    """

    at: Instant
    job: str
    state: JobState
    failure: Failure | None = None
    planned: bool = True
    due: Instant | None = None
    refund_at: Instant | None = None
    kept_until: Instant | None = None


class JobPolled(msgspec.Struct, frozen=True):
    """A poll was answered; recorded for plans whose steps end after a number of polls."""

    at: Instant
    job: str


class JobsForgotten(msgspec.Struct, frozen=True):
    """Jobs and their ledger entries were removed, because of their age or the limit on jobs."""

    at: Instant
    jobs: tuple[str, ...]
    reason: str


class EntriesCarried(msgspec.Struct, frozen=True):
    """The sum of an account's forgotten ledger entries; a compacted log begins with it."""

    at: Instant
    account: int
    amount: Decimal
    unit: str


class CountsCarried(msgspec.Struct, frozen=True):
    """The numbers of ledger entries, accepted jobs and random draws so far; closes a compacted log.

    `drawn` counts the draws of each purpose: see `drawn_by`.
    """

    at: Instant
    entries: int
    jobs: int
    drawn: tuple[tuple[str, int], ...] = ()


class QuotaUsed(msgspec.Struct, frozen=True):
    """A call was counted in a rate-limit window, which began at `window`.

    Only in a compacted log can one event count several `places` (requests).
    """

    at: Instant
    account: int
    limit: str
    window: Instant
    places: int = 1


class JobMarked(msgspec.Struct, frozen=True):
    """A provider's own note on a job, such as `finalised` or `revoked`."""

    at: Instant
    job: str
    mark: str


class UploadIssued(msgspec.Struct, frozen=True):
    """A ticket to upload one file; `size` in bytes if the caller announced it.

    An unused ticket is kept until after its expiry, so that a late upload gets the right error.
    """

    at: Instant
    upload: str
    provider: str
    account: int
    file_name: str
    content_type: str
    size: int | None
    signature: str
    expires_at: Instant
    kept_until: Instant


class UploadStored(msgspec.Struct, frozen=True):
    """The bytes of an upload arrived; they are stored under their `digest`."""

    at: Instant
    upload: str
    digest: str
    size: int
    expires_at: Instant | None


class UploadsForgotten(msgspec.Struct, frozen=True):
    """Uploads were removed because of their age."""

    at: Instant
    uploads: tuple[str, ...]


class FaultArmed(msgspec.Struct, frozen=True):
    """A fault was armed, by the scenario or by an admin call."""

    at: Instant
    rule: FaultRule


class FaultMatched(msgspec.Struct, frozen=True):
    """A request matched an armed fault, which fired or did not.

    Only in a compacted log can one event count several `times`.
    """

    at: Instant
    fault: str
    fired: bool
    times: int = 1


class FaultDisarmed(msgspec.Struct, frozen=True):
    """A fault was removed."""

    at: Instant
    fault: str


class DeliveryCreated(msgspec.Struct, frozen=True):
    """A job entered a state that must be reported; `body` is sent in all attempts.

    `stamp` is the Unix second for which the body was made, by the wall clock or the virtual clock.
    """

    at: Instant
    delivery: str
    job: str
    state: JobState
    url: str
    stamp: int
    body: bytes


class AttemptMade(msgspec.Struct, frozen=True):
    """One attempt was made: the headers sent, the result, and the time of the next attempt.

    `number` is the position in the provider's own schedule. It is 0 for an extra attempt, by
    command or by a fault that sends twice. An `unsent` attempt was never sent, because of a
    `fault` or because its URL is not allowed.
    """

    at: Instant
    job: str
    delivery: str
    number: int
    stamp: int
    headers: tuple[tuple[str, str], ...]
    status: int | None
    error: str = ""
    answer: bytes = b""
    next_at: Instant | None = None
    fault: str = ""
    unsent: bool = False


class AttemptPostponed(msgspec.Struct, frozen=True):
    """A fault delays an attempt; no fault is looked for when the attempt is made.

    A `reorder` attempt is made earlier if another delivery was attempted in the meantime.
    """

    at: Instant
    job: str
    delivery: str
    number: int
    until: Instant
    reorder: bool


class AnnouncementPlanned(msgspec.Struct, frozen=True):
    """A fault reports the end of a job before it happens: at `due`, in phase `step` of the job."""

    at: Instant
    job: str
    step: int
    due: Instant


class DeliveryEnded(msgspec.Struct, frozen=True):
    """No attempt follows: the delivery was `delivered`, `given_up`, `lost` or `refused`."""

    at: Instant
    job: str
    delivery: str
    outcome: str


class RulesChanged(msgspec.Struct, frozen=True):
    """From now on, other rules apply to a provider's calls; `rules` are named by their hash.

    The `cause` is `change` (the scenario planned it) or `reload` (its files were edited).
    """

    at: Instant
    provider: str
    rules: str
    cause: str


class ChangesPlanned(msgspec.Struct, frozen=True):
    """The scenario plans changes of the rules at these instants; an earlier plan is dropped."""

    at: Instant
    instants: tuple[Instant, ...]


class ChangeApplied(msgspec.Struct, frozen=True):
    """A planned change took place; `number` is its position in the plan."""

    at: Instant
    number: int


class ClockMoved(msgspec.Struct, frozen=True, gc=False):
    """The clock started, jumped, or continues in another mode or at another pace.

    `at` is the time after the move, `before` the time before it, and `mode` as in settings.
    `passed` is the time that an `auto` clock skipped by itself. `wall` is the wall clock's time,
    which says how far a `real` or `scaled` clock has moved since; 0 for a clock moved by commands.
    """

    at: Instant
    before: Instant
    mode: str
    pace: int
    wall: Instant = 0
    passed: Instant = 0


Event = (
    AccountOpened
    | AccountChanged
    | JobAccepted
    | JobStarted
    | JobMoved
    | JobPolled
    | JobsForgotten
    | JobMarked
    | Entry
    | EntriesCarried
    | CountsCarried
    | QuotaUsed
    | UploadIssued
    | UploadStored
    | UploadsForgotten
    | FaultArmed
    | FaultMatched
    | FaultDisarmed
    | DeliveryCreated
    | AttemptMade
    | AttemptPostponed
    | AnnouncementPlanned
    | DeliveryEnded
    | RulesChanged
    | ChangesPlanned
    | ChangeApplied
    | ClockMoved
)

DELIVERIES = "deliveries"
"""The purpose of the draws that make ids of deliveries."""


@cache
def ids_of(provider: str) -> str:
    """Return the purpose of the draws that make ids of a provider's jobs."""
    return f"ids/{provider}"


def uploads_of(provider: str) -> str:
    """Return the purpose of the draws that make names and signatures of a provider's uploads."""
    return f"uploads/{provider}"


def drawn_by(event: Event) -> str | None:
    """Return the purpose of the random draw that an event used; None if it used none.

    The probability of a fault is drawn with the number of its matches, which the state counts.
    """
    if isinstance(event, JobAccepted):
        return ids_of(event.provider)
    if isinstance(event, UploadIssued):
        return uploads_of(event.provider)
    return DELIVERIES if isinstance(event, DeliveryCreated) else None
