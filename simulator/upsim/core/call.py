"""One request as an operation sees it, its sandbox, and its possible responses.

A call refers to its sandbox, and the sandbox's methods take a call, so both are defined here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol
from urllib.parse import parse_qsl

import msgspec

from upsim.core.baseline import Model, RateLimit
from upsim.core.events import UploadIssued, WebhookTarget
from upsim.core.faults import FaultRule
from upsim.core.instants import Instant
from upsim.core.job_spec import JobSpec
from upsim.core.jobs import Job
from upsim.core.json_bodies import decode
from upsim.core.knobs import Rules
from upsim.core.ledger import Account, Entry
from upsim.core.media import Measured, Media
from upsim.core.states import Failure, JobState
from upsim.core.url_builder import UrlBuilder

Headers = Mapping[bytes, bytes]
"""The headers of a request by lower-case name; of a repeated one the first."""
Credential = Literal["missing", "malformed", "ill_formed", "unknown", "known"]
"""What came as a key: nothing, another scheme, a key of the wrong form (strict keys only),
a key that was never issued (strict keys only), or one that has an account."""

JSON = b"application/json"


class NoRoomError(Exception):
    """A command of a `SandboxApi` would keep more than is kept; it is refused as a full disk is."""


class Reply(msgspec.Struct, frozen=True):
    """An answer: `body` is encoded as JSON unless it is `bytes`."""

    status: int
    body: object
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = JSON


@dataclass(frozen=True, slots=True)
class FileReply:
    """An answer whose body is the finished file of a job; `mark` is put on the job once sent."""

    job: str
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A request that is held open until the job ends, or until a time limit in seconds.

    Then `answer` is called with the call (with a new `now`) and whether the limit was reached.
    """

    job: str
    seconds: float
    answer: Callable[[Call, bool], Reply]


@dataclass(frozen=True, slots=True)
class Pending:
    """This video must be measured first; the call is then decided again from the start."""

    source: str
    limit: int


class Content(Protocol):
    """The body of a request that may be larger than the memory."""

    @property
    def size(self) -> int:
        """How many bytes it has."""

    def find(self, sought: bytes, start: int, end: int) -> int:
        """Return the position of some bytes between two positions, or -1."""

    def read(self, start: int, end: int) -> bytes:
        """The bytes between two places."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A file that the body of a call carries, in pieces; without a type it is empty."""

    file_name: str
    content_type: str
    pieces: Iterable[bytes]


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that came with a call, and under which digest it is kept."""

    file_name: str
    content_type: str
    size: int
    digest: str


@dataclass(slots=True)
class Call:
    """A request in its sandbox. The fields below the line are filled in by the checks.

    Of those, `refused_by` to `faults` say why: the check that refused, the values it compared and
    the sentence about them (both also of what an accepted job will fail for), the ledger lines that
    the decision posted, and the faults that acted. `hint` names a dialect that does not refuse. Of
    a long body that carries a `file`, `body` is the beginning and `size` the size of the whole;
    else `size` is 0. `who` is the account once more, set only where there is one: operations that
    list `authenticated` need not ask.
    """

    operation: str
    kind: str
    rules: Rules
    sandbox: SandboxApi
    urls: UrlBuilder
    method: str
    path: str
    params: Mapping[str, str]
    query_string: bytes
    headers: Headers
    body: bytes
    credential: Credential
    account: Account | None
    # ---
    now: int = 0
    oversized: bool = False
    measured: Measured | None = None
    document: object = None
    inputs: Mapping[str, object] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    model: Model | None = None
    source: str = ""
    blob: str = ""
    media: Media | None = None
    assumed: bool = False
    failure: str | None = None
    spec: JobSpec | None = None
    job: Job | None = None
    uses: list[RateLimit] = field(default_factory=list)
    refused_by: str = ""
    compared: Mapping[str, object] | None = None
    cause: str = ""
    posted: tuple[Entry, ...] = ()
    faults: Sequence[FaultRule] = ()
    size: int = 0
    file: SentFile | None = None
    unfired: Sequence[str] = ()
    hint: str = ""
    key_flaw: str = ""
    who: Account = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Let `who` be there where there is an account."""
        if self.account is not None:
            self.who = self.account

    def header(self, name: bytes) -> str | None:
        """The header of this (lower-case) name, or None."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def query(self) -> dict[str, str]:
        """The query parameters; the first of a name wins."""
        if not self.query_string:
            return {}
        pairs = parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True)
        return dict(reversed(pairs))

    def json(self) -> object:
        """The decoded body (decoded once), or Malformed."""
        if self.document is None:
            refuse = self.rules.knobs.get("duplicate_keys") == "refuse"
            self.document = decode(self.body, self.headers, refuse_repeats=refuse)
        return self.document

    @property
    def target(self) -> Job:
        """The job; an operation that lists a check which finds one always has it."""
        if self.job is None:
            msg = f"{self.operation} runs without the check that finds the job"
            raise LookupError(msg)
        return self.job


@dataclass(frozen=True, slots=True)
class Window:
    """An account's rate-limit window: the requests used, and the end of the window."""

    limit: int
    used: int
    resets_at: Instant


class SandboxApi(Protocol):
    """A sandbox, seen from an operation. Commands are synchronous and take effect at once."""

    @property
    def now(self) -> Instant:
        """The present virtual instant."""

    @property
    def pace(self) -> int:
        """By what the durations of work, and announcements of them, are divided."""

    def measured(self, call: Call, source: str) -> Measured | None:
        """Return the known properties of a video; None if it must be fetched or measured first."""

    def terms(self, call: Call) -> JobSpec:
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
        self, call: Call, *, inputs: Mapping[str, object], webhook: WebhookTarget | None = None
    ) -> Job:
        """Charge and create the job of `call` in one step."""

    def move(self, job: Job, state: JobState, failure: Failure | None = None) -> Job:
        """Move a job by command; refunds follow as the baseline says."""

    def mark(self, job: Job, mark: str) -> Job:
        """Put a provider's own note on a job (`revoked` takes its file away)."""

    def output_gone(self, job: Job) -> bool:
        """Whether the finished file was revoked or its link has expired."""

    def refunded(self, job: Job) -> Decimal:
        """Return the amount refunded for the job, in the account's unit."""

    def issue_upload(
        self,
        call: Call,
        *,
        file_name: str,
        content_type: str,
        size: int | None,
    ) -> UploadIssued:
        """A ticket for one upload; it expires as `retention.upload_tickets` says.

        Raises NoRoomError.
        """

    def store_upload(self, upload: UploadIssued, file: SentFile) -> bool:
        """Keep the file of an upload, served at `/media/uploads/<upload>`; False: it is gone."""

    def secret(self, account: Account, name: str, size: int) -> bytes:
        """A secret of the account that is the same at every call."""
