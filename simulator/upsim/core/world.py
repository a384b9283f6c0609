"""What an operation may ask of its sandbox, and the commands it may give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from upsim.core.call import Call
from upsim.core.events import UploadIssued, Webhook
from upsim.core.instants import Instant
from upsim.core.jobs import Job
from upsim.core.ledger import Account, Entry
from upsim.core.media import Measured
from upsim.core.states import Failure, State
from upsim.core.terms import Terms


class Stream(Protocol):
    """A named, seeded stream of random bits."""

    def getrandbits(self, k: int, /) -> int:
        """A whole number of `k` random bits."""


@dataclass(frozen=True, slots=True)
class Window:
    """Where a rate limit stands for an account: places taken, and when the window ends."""

    limit: int
    used: int
    resets_at: Instant


class World(Protocol):
    """A sandbox, seen from an operation. Commands are synchronous and take effect at once."""

    @property
    def now(self) -> Instant:
        """The present virtual instant."""

    def measured(self, call: Call, source: str) -> Measured | None:
        """What is known of a video without waiting; None when it must be fetched or probed."""

    def terms(self, call: Call) -> Terms:
        """Price, output and plan for the call's model, media and options."""

    def find_job(self, job: str) -> Job | None:
        """A job of any account of this sandbox that was not forgotten."""

    def jobs_of(self, account: Account) -> Iterable[Job]:
        """The account's jobs, oldest first."""

    def entries_of(self, account: Account) -> Iterable[Entry]:
        """The account's ledger, oldest first."""

    def window(self, account: Account, limit: str) -> Window | None:
        """The state of one of the account's rate limits (None: its plan has no such limit)."""

    def accept(
        self, call: Call, *, inputs: Mapping[str, object], webhook: Webhook | None = None
    ) -> Job:
        """Charge and create the job of `call` in one step."""

    def move(self, job: Job, state: State, failure: Failure | None = None) -> Job:
        """Move a job by command; refunds follow as the baseline says."""

    def mark(self, job: Job, mark: str) -> Job:
        """Put a provider's own note on a job (`revoked` takes its file away)."""

    def output_gone(self, job: Job) -> bool:
        """Whether the finished file was revoked or its link has expired."""

    def refunded(self, job: Job) -> Decimal:
        """What was given back for the job, in the account's unit."""

    def issue_upload(
        self,
        call: Call,
        *,
        file_name: str,
        content_type: str,
        size: int | None,
    ) -> UploadIssued:
        """A ticket for one upload; it expires as `retention.upload_tickets` says."""

    def store_upload(self, upload: UploadIssued, data: bytes) -> bool:
        """Keep the bytes of an upload, served at `/media/uploads/<upload>`; False: no room."""

    def secret(self, account: Account, name: str, size: int) -> bytes:
        """A secret of the account that is the same at every call."""
