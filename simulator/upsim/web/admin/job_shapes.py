"""The shapes of jobs, and of the accounts and ledger lines that they are paid from."""

from __future__ import annotations

from typing import TypedDict


class Media(TypedDict):
    """What was measured of a video; `duration` in seconds, `fps` as a fraction."""

    duration: str
    size: str
    fps: str
    frames: int
    container: str
    audio: bool
    bytes: int


class Failure(TypedDict):
    """Why a job failed."""

    name: str
    code: str | int | None
    message: str


class Moment(TypedDict):
    """A state, and when a job entered it."""

    at: str
    state: str


class Output(TypedDict):
    """The file that a job makes.

    `substitutes` says, once the file was asked for, what of it is drawn instead of taken from the
    job's video, and why.
    """

    size: str
    audio: bool
    substitutes: list[str]


class Job(TypedDict):
    """A job with its timeline, media, output and money; `rules` is the hash of its rules."""

    id: str
    provider: str
    model: str
    account: int
    state: str
    failure: Failure | None
    timeline: list[Moment]
    options: dict[str, str]
    media: Media | None
    output: Output | None
    charged: str | None
    refunded: str | None
    unit: str
    formula: str
    marks: list[str]
    rules: str


class Jobs(TypedDict):
    """A page of the jobs."""

    jobs: list[Job]
    total: int


class Account(TypedDict):
    """An account; its balance is the opening plus the sum of its entries."""

    account: int
    name: str
    provider: str
    plan: str
    unit: str
    opening: str
    balance: str
    entries: int
    running: int
    queued: int


class NewKey(Account):
    """A further key, and the account that it belongs to."""

    key: str


class Accounts(TypedDict):
    """A page of the accounts."""

    accounts: list[Account]
    total: int


class Entry(TypedDict):
    """A line of the ledger; a charge is negative, `formula` and `inputs` say how it was found."""

    number: int
    at: str
    account: int
    kind: str
    amount: str
    unit: str
    job: str | None
    formula: str
    inputs: dict[str, str]


class Ledger(TypedDict):
    """A page of the ledger."""

    entries: list[Entry]
    total: int
