"""A request as an operation receives it, its sandbox, and the possible responses.

A call refers to its sandbox, and the sandbox's methods take a call, so both are defined
here.
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
from upsim.core.knobs_and_dialects import Rules
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
    """A storage limit of the sandbox would be exceeded; the command is refused."""


class Reply(msgspec.Struct, frozen=True):
    """A response: `body` is encoded as JSON unless it is `bytes`."""

    status: int
    body: object
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = JSON


class FileReply(msgspec.Struct, frozen=True):
    """A response with the finished file of a job; `mark` is added to the job once it is sent."""

    job: str
    mark: str | None = None


class Hold(msgspec.Struct, frozen=True):
    """A request that is held open until the job ends, or until a time limit in seconds.

    After that, `answer` is called with the call (with a new `now`) and a flag: whether the
    time limit was reached.
    """

    job: str
    seconds: float
    answer: Callable[[Call, bool], Reply]


class Pending(msgspec.Struct, frozen=True):
    """A video that must be measured first; then the call is checked again from the start."""

    source: str
    limit: int


class Content(Protocol):
    """The body of a request that may be larger than the memory."""

    @property
    def size(self) -> int:
        """The size in bytes."""

    def find(self, sought: bytes, start: int, end: int) -> int:
        """Return the position of some bytes between two positions, or -1."""

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes between two positions."""


class Carried(msgspec.Struct, frozen=True):
    """A file inside the body of a call, in pieces. The content type is empty if it is missing."""

    file_name: str
    content_type: str
    pieces: Iterable[bytes]


class SentFile(msgspec.Struct, frozen=True):
    """A file that came with a call, and the digest under which it is stored."""

    file_name: str
    content_type: str
    size: int
    digest: str


@dataclass(slots=True)
class Call:
    """A request in its sandbox. The checks fill in the fields below the line.

    These fields explain a decision:

    * `refused_by`: the check that refused the request.
    * `compared` and `cause`: the compared values and the sentence about them. They are also
      set for a failure that an accepted job will have.
    * `posted`: the ledger entries of the decision; `faults`: the faults that fired.
    * `hint`: a dialect that does not refuse the request.

    If a long body carries a `file`, `body` is its beginning and `size` the size of the whole
    body; otherwise `size` is 0. `who` is the account, set only if there is one: operations
    that list `authenticated` can use it without a test for None.
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
        """Set `who` if there is an account."""
        if self.account is not None:
            self.who = self.account

    def header(self, name: bytes) -> str | None:
        """Return the header with this lower-case name, or None."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def query(self) -> dict[str, str]:
        """Return the query parameters; if a name is repeated, its first value counts."""
        if not self.query_string:
            return {}
        pairs = parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True)
        return dict(reversed(pairs))

    def json(self) -> object:
        """Return the decoded body (decoded once), or Malformed."""
        if self.document is None:
            refuse = self.rules.knobs.get("duplicate_keys") == "refuse"
            self.document = decode(self.body, self.headers, refuse_repeats=refuse)
        return self.document

    @property
    def target(self) -> Job:
        """The job of the call. Raises LookupError if no check has found a job."""
        if self.job is None:
            msg = f"{self.operation} runs without the check that finds the job"
            raise LookupError(msg)
        return self.job


class Window(msgspec.Struct, frozen=True):
    """An account's rate-limit window: the requests used, and the end of the window."""

    limit: int
    used: int
    resets_at: Instant


class SandboxApi(Protocol):
    """The interface of a sandbox for operations; commands are synchronous and immediate."""

    @property
    def now(self) -> Instant:
        """The current virtual time."""

    @property
    def pace(self) -> int:
        """The factor by which work durations, and announcements of them, are divided."""

    def measured(self, call: Call, source: str) -> Measured | None:
        """Return the known properties of a video; None if it must be fetched or measured first."""

    def terms(self, call: Call) -> JobSpec:
        """Return the price, output and plan for the call's model, media and options."""

    def find_job(self, job: str) -> Job | None:
        """Return a job of any account of this sandbox; None if it is unknown or forgotten."""

    def jobs_of(self, account: Account) -> Iterable[Job]:
        """Return the account's jobs, oldest first."""

    def entries_of(self, account: Account) -> Iterable[Entry]:
        """Return the account's ledger entries, oldest first."""

    def window(self, account: Account, limit: str) -> Window | None:
        """Return the state of an account's rate limit; None if its plan lacks this limit."""

    def accept(
        self, call: Call, *, inputs: Mapping[str, object], webhook: WebhookTarget | None = None
    ) -> Job:
        """Charge and create the job of `call` in one step."""

    def move(self, job: Job, state: JobState, failure: Failure | None = None) -> Job:
        """Change the state of a job by command, and refund the charge as the baseline specifies."""

    def mark(self, job: Job, mark: str) -> Job:
        """Add a provider's own note to a job; the note `revoked` makes its file unavailable."""

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
        """Issue a ticket for one upload; it expires after `retention.upload_tickets`.

        Raises NoRoomError.
        """

    def store_upload(self, upload: UploadIssued, file: SentFile) -> bool:
        """Store the file of an upload, served at `/media/uploads/<upload>`.

        Return False if the file was removed in the meantime.
        """

    def secret(self, account: Account, name: str, size: int) -> bytes:
        """Return a secret of the account, which is the same at every call."""
