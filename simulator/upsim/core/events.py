"""The events of a sandbox. The ordered events are its state; nothing else changes it.

Those that every job has several of are structs of msgspec: as immutable as the others, and made in
a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from upsim.core.faults import FaultRule
from upsim.core.instants import Instant
from upsim.core.ledger import Entry
from upsim.core.media import Media
from upsim.core.pricing import PriceQuote
from upsim.core.states import Failure, JobState, Phase
from upsim.core.url_builder import UrlBuilder


@dataclass(frozen=True, slots=True)
class AccountOpened:
    """An account came into being, on the first use of a key or by an admin call.

    `owner` is whose it is: keys of one owner share the account.
    """

    at: Instant
    account: int
    provider: str
    name: str
    opening: Decimal
    unit: str
    plan: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """An account was given another plan; its balance changes only by entries."""

    at: Instant
    account: int
    plan: str


class JobAccepted(msgspec.Struct, frozen=True, gc=False):
    """A submit was accepted: all that the job's later answers are made of."""

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


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """The planned output of a job: displayed size in pixels, and whether it has audio."""

    width: int
    height: int
    audio: bool

    @property
    def dimensions(self) -> str:
        """The displayed size in pixels, such as `2560x1440`."""
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """The URL to which the end of a job is reported. The secret stays in memory.

    An empty `url` means that nothing is sent: PiAPI echoes a secret even without an endpoint.
    """

    url: str
    secret: str = ""


@dataclass(frozen=True, slots=True)
class JobStarted:
    """A job that waited for a free slot may now follow its plan."""

    at: Instant
    job: str


class JobMoved(msgspec.Struct, frozen=True, gc=False):
    """A job entered a state; `planned` says whether its plan led there."""

    at: Instant
    job: str
    state: JobState
    failure: Failure | None = None
    planned: bool = True


@dataclass(frozen=True, slots=True)
class JobPolled:
    """A poll was answered, for plans that move on by polls."""

    at: Instant
    job: str


@dataclass(frozen=True, slots=True)
class JobsForgotten:
    """Jobs passed their retention, or the cap on finished jobs, and with them their entries."""

    at: Instant
    jobs: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class EntriesCarried:
    """The sum of an account's forgotten entries: what a compacted log begins with."""

    at: Instant
    account: int
    amount: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class CountsCarried:
    """How many ledger lines were numbered and jobs accepted so far: closes a compacted log."""

    at: Instant
    entries: int
    jobs: int


@dataclass(frozen=True, slots=True)
class QuotaUsed:
    """A call took a place of a rate limit's window, which began at `window`.

    Only in a compacted log are there more `places` than one.
    """

    at: Instant
    account: int
    limit: str
    window: Instant
    places: int = 1


@dataclass(frozen=True, slots=True)
class JobMarked:
    """A provider's own note on a job, such as `finalised` or `revoked`."""

    at: Instant
    job: str
    mark: str


@dataclass(frozen=True, slots=True)
class UploadIssued:
    """A ticket to upload one file; `size` in bytes when the caller announced it."""

    at: Instant
    upload: str
    provider: str
    account: int
    file_name: str
    content_type: str
    size: int | None
    signature: str
    expires_at: Instant


@dataclass(frozen=True, slots=True)
class UploadStored:
    """The bytes of an upload arrived; they are kept by content under `digest`."""

    at: Instant
    upload: str
    digest: str
    size: int
    expires_at: Instant | None


@dataclass(frozen=True, slots=True)
class UploadsForgotten:
    """Uploads passed their retention."""

    at: Instant
    uploads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FaultArmed:
    """A fault was armed, by the scenario or by an admin call."""

    at: Instant
    rule: FaultRule


@dataclass(frozen=True, slots=True)
class FaultMatched:
    """A request matched an armed fault, which fired or did not.

    Only in a compacted log can one event count several `times`.
    """

    at: Instant
    fault: str
    fired: bool
    times: int = 1


@dataclass(frozen=True, slots=True)
class FaultDisarmed:
    """A fault was taken away."""

    at: Instant
    fault: str


@dataclass(frozen=True, slots=True)
class DeliveryCreated:
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


@dataclass(frozen=True, slots=True)
class AttemptMade:
    """One attempt was made: what was sent beside the body, what came back, and when the next is.

    `number` counts the provider's own schedule; one that was sent again by command, or twice by a
    fault, has 0. `unsent` ones never left, because of a `fault` or because nothing may go there.
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


@dataclass(frozen=True, slots=True)
class DeliveryEnded:
    """No attempt follows: it was `delivered`, `given_up`, `lost` or `refused`."""

    at: Instant
    job: str
    delivery: str
    outcome: str


@dataclass(frozen=True, slots=True)
class RulesChanged:
    """From here on a provider's calls are decided by other rules, named by their hash.

    The `cause` is `change` (the scenario planned it) or `reload` (its files were edited).
    """

    at: Instant
    provider: str
    rules: str
    cause: str


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
    | DeliveryEnded
    | RulesChanged
)
