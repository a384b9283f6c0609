"""One request as an operation sees it, and what an operation may answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl

from upsim.core.baseline import Model, RateLimit, Rules
from upsim.core.jobs import Job
from upsim.core.ledger import Account
from upsim.core.media import Measured, Media
from upsim.core.origin import Origin
from upsim.core.terms import Terms

if TYPE_CHECKING:
    from upsim.core.world import World

RawHeaders = Sequence[tuple[bytes, bytes]]
Credential = Literal["missing", "malformed", "ill_formed", "unknown", "known"]
"""What came as a key: nothing, another scheme, a key of the wrong form (strict keys only),
a key that was never issued (strict keys only), or one that has an account."""

JSON = b"application/json"


@dataclass(frozen=True, slots=True)
class Malformed:
    """A body that could not be read as JSON, and why."""

    reason: Literal["syntax", "encoding", "too_deep", "too_large", "content_type"]
    detail: str


@dataclass(frozen=True, slots=True)
class Reply:
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
    """The request is held open until the job ends, or for so many seconds at the most.

    `answer` is then called with the call (its `now` renewed) and whether the time ran out.
    """

    job: str
    seconds: float
    answer: Callable[[Call, bool], Reply]


@dataclass(frozen=True, slots=True)
class Pending:
    """The decision needs this video measured first; the call is then decided again from the start."""

    source: str
    limit: int


@dataclass(slots=True)
class Call:
    """A request in its sandbox. The fields below the line are filled in by the checks."""

    operation: str
    kind: str
    rules: Rules
    world: World
    origin: Origin
    method: str
    path: str
    params: Mapping[str, str]
    query_string: bytes
    headers: RawHeaders
    body: bytes
    decode: Callable[[Call], object]
    credential: Credential
    account: Account | None
    # ---
    now: int = 0
    oversized: bool = False
    in_process: bool = False
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
    terms: Terms | None = None
    job: Job | None = None
    uses: list[RateLimit] = field(default_factory=list)

    def header(self, name: bytes) -> str | None:
        """The first header of this (lower-case) name, or None."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None

    def query(self) -> dict[str, str]:
        """The query parameters; the first of a name wins."""
        pairs = parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True)
        return {name: value for name, value in reversed(pairs)}

    def json(self) -> object:
        """The decoded body (decoded once), or Malformed."""
        if self.document is None:
            self.document = self.decode(self)
        return self.document

    def knob(self, name: str) -> str:
        """The value of a knob for this request."""
        return self.rules.knobs[name]

    @property
    def target(self) -> Job:
        """The job; an operation that lists a check which finds one always has it."""
        if self.job is None:
            msg = f"{self.operation} runs without the check that finds the job"
            raise LookupError(msg)
        return self.job

    @property
    def who(self) -> Account:
        """The account; an operation that lists the check `authenticated` always has one."""
        if self.account is None:
            msg = f"{self.operation} runs without the check that needs a key"
            raise LookupError(msg)
        return self.account
