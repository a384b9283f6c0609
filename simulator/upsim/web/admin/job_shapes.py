"""The shapes of jobs, accounts and ledger entries."""

from __future__ import annotations

from typing import Annotated, TypedDict

from upsim.web.admin.shape_fields import AsText, At, Exact, From, Hidden, Length


class Media(TypedDict):
    """The measured properties of a video; `duration` is in seconds, `fps` a fraction."""

    duration: Annotated[Exact, From("seconds")]
    size: Annotated[str, From("dimensions")]
    fps: Annotated[AsText, From("frame_rate")]
    frames: int
    container: str
    audio: bool
    bytes: Annotated[int, From("size")]


class Failure(TypedDict):
    """The reason why a job failed."""

    name: str
    code: str | int | None
    message: Hidden


class Moment(TypedDict):
    """A state, and the time when a job entered it."""

    at: At
    state: Annotated[str, From("state.value")]


class Output(TypedDict):
    """The file that a job makes.

    `substitutes` is available after the first download. It lists the parts that were generated,
    because they could not be taken from the job's video, with the reasons.
    """

    size: Annotated[str, From("dimensions")]
    audio: bool
    substitutes: list[str]


class Job(TypedDict):
    """A job with its timeline, media, output and money; `rules` is the hash of its rules."""

    id: str
    provider: Annotated[str, From("accepted.provider")]
    model: Annotated[str, From("accepted.model")]
    account: Annotated[int, From("accepted.account")]
    state: Annotated[str, From("state.value")]
    failure: Failure | None
    timeline: list[Moment]
    options: Annotated[dict[str, str], From("accepted.options")]
    media: Annotated[Media | None, From("accepted.media")]
    output: Output | None
    charged: str | None
    refunded: str | None
    unit: Annotated[str, From("accepted.quote.unit")]
    formula: Annotated[str, From("accepted.quote.formula")]
    marks: list[str]
    rules: Annotated[str, From("accepted.rules")]


class Jobs(TypedDict):
    """A page of the jobs."""

    jobs: list[Job]
    total: int


class Account(TypedDict):
    """An account; its balance is the opening balance plus the sum of its entries."""

    account: Annotated[int, From("number")]
    name: str
    provider: str
    plan: str
    unit: str
    opening: Exact
    balance: Exact
    entries: Length
    running: int
    queued: Annotated[Length, From("queue")]


class NewKey(Account):
    """A new key, and the account to which it belongs."""

    key: str


class Accounts(TypedDict):
    """A page of the accounts."""

    accounts: list[Account]
    total: int


class Entry(TypedDict):
    """A ledger entry; a charge is negative; `formula` and `inputs` explain the amount."""

    number: int
    at: At
    account: int
    kind: str
    amount: Exact
    unit: str
    job: str | None
    formula: str
    inputs: dict[str, str]


class Ledger(TypedDict):
    """A page of the ledger."""

    entries: list[Entry]
    total: int
