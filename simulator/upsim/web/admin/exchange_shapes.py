"""The shapes of requests and responses: their content, their reasons, and client mistakes."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from upsim.engine.report_card import seconds
from upsim.web.admin.job_shapes import Entry, Media
from upsim.web.admin.server_shapes import Evidence
from upsim.web.admin.shape_fields import As, At, From, NonEmpty

Seconds = Annotated[str, As(seconds)]


class Body(TypedDict):
    """The beginning of a body, with secrets hidden; `size` is the size of the whole body."""

    size: int
    truncated: bool
    text: str


class Rule(TypedDict):
    """An entry of the provider's error catalogue."""

    name: str
    status: int
    code: str | int | None
    message: str
    evidence: Evidence


class Acted(TypedDict):
    """A fault that fired on a response; if the scenario defines the fault, with its evidence."""

    id: str
    at: str
    on: str | None
    do: Annotated[Any, From("written")]
    evidence: Evidence | None


class Why(TypedDict):
    """The reasons for a response.

    `check` is the check that refused the request, and `rule` the catalogue entry that it chose.
    `cause` is a sentence with the part of the request, its value and the expected value.
    `compared` are the values that the check compared. `cause` and `compared` are also present if
    an accepted job will fail because of them.
    `measured` is the video, `price` the evidence of the model's price, `entries` the ledger
    entries, `faults` the faults that fired. `hint` names the dialect that fits the client.
    """

    check: NonEmpty
    rule: Rule | None
    cause: str | None
    hint: NonEmpty
    compared: dict[str, str]
    model: str | None
    price: Evidence | None
    measured: Annotated[Media | None, From("media")]
    assumed: bool
    entries: list[Entry]
    faults: list[Acted]
    unfired: list[str]


class Exchange(TypedDict):
    """A request and its response; `status` 0 means that no response was sent."""

    number: int
    at: At
    provider: str
    operation: str
    method: str
    target: str
    account: int | None
    dialect: str
    request: Body
    status: int
    answer: Body
    refused_by: str | None
    evidence: Evidence | None
    job: str | None
    fault: str | None
    assumed_media: Annotated[Media | None, From("assumed")]
    rules: str
    why: Why


class Journal(TypedDict):
    """Requests in order, oldest first; `kept` of the `total` requests are still available."""

    exchanges: list[Exchange]
    kept: int
    total: int


class Found(TypedDict):
    """A page of the matching requests."""

    exchanges: list[Exchange]
    total: int


class Count(TypedDict):
    """The number of matching requests."""

    count: int


class Shown(TypedDict):
    """A request that a finding refers to; only its number if it is no longer in the journal."""

    number: int
    at: At | None
    method: str | None
    target: str | None
    status: int | None


class Finding(TypedDict):
    """A client mistake; `numbers` has its counts and measured values."""

    name: str
    severity: str
    provider: str
    job: str | None
    exchanges: list[Shown]
    numbers: dict[str, int | str]
    advice: str


class Advised(TypedDict):
    """The provider's advised polling intervals in seconds."""

    every: Seconds
    factor: str
    most: Seconds | None
    evidence: Evidence


class Caller(TypedDict):
    """A client's polling of one provider's jobs; pauses between polls are in seconds."""

    provider: str
    jobs: int
    polls: int
    hasty_polls: Annotated[int, From("hasty")]
    late_polls: Annotated[int, From("late")]
    shortest_pause: Annotated[Seconds | None, From("shortest")]
    advised: Advised | None


class ReportCard(TypedDict):
    """The client mistakes in a sandbox; `clean` is true if there are no mistakes."""

    clean: bool
    findings: list[Finding]
    callers: list[Caller]
    not_judged: list[str]
