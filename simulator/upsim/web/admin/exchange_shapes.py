"""The shapes of requests and answers: what passed, why it did, and how its callers behave."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from upsim.engine.report_card import seconds
from upsim.web.admin.job_shapes import Entry, Media
from upsim.web.admin.server_shapes import Evidence
from upsim.web.admin.shape_fields import As, At, From, NonEmpty

Seconds = Annotated[str, As(seconds)]


class Body(TypedDict):
    """The beginning of a body, secrets hidden; `size` is that of the whole."""

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
    """A fault that acted on an answer; one of the scenario has the scenario's evidence."""

    id: str
    at: str
    on: str | None
    do: Annotated[Any, From("written")]
    evidence: Evidence | None


class Why(TypedDict):
    """Why an answer is as it is.

    `check` is the check that refused, `rule` the catalogue entry that it chose, `cause` a sentence
    that names the part of the request, what it held and what was expected, `compared` the values
    that the check looked at; both also where an accepted job will fail for them. `measured` is the
    video, `price` the evidence of the model's price, `entries` what was posted to the ledger,
    `faults` what was done to the answer on purpose. `hint` names the dialect that would serve the
    client.
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
    """A request and its answer; `status` 0 says that nothing was sent."""

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
    """Exchanges in order; of `total` so many were `kept`."""

    exchanges: list[Exchange]
    kept: int
    total: int


class Found(TypedDict):
    """A page of the exchanges that match."""

    exchanges: list[Exchange]
    total: int


class Count(TypedDict):
    """How many exchanges match."""

    count: int


class Shown(TypedDict):
    """An exchange that a finding names; of one that the journal lost only the number is left."""

    number: int
    at: At | None
    method: str | None
    target: str | None
    status: int | None


class Finding(TypedDict):
    """What a careful client would have done otherwise; `numbers` say how much of it there was."""

    name: str
    severity: str
    provider: str
    job: str | None
    exchanges: list[Shown]
    numbers: dict[str, int | str]
    advice: str


class Advised(TypedDict):
    """How often a provider advises to poll, in seconds."""

    every: Seconds
    factor: str
    most: Seconds | None
    evidence: Evidence


class Caller(TypedDict):
    """How the jobs of one provider were polled; pauses in seconds, the caller's own."""

    provider: str
    jobs: int
    polls: int
    hasty_polls: Annotated[int, From("hasty")]
    late_polls: Annotated[int, From("late")]
    shortest_pause: Annotated[Seconds | None, From("shortest")]
    advised: Advised | None


class ReportCard(TypedDict):
    """How the callers of a sandbox behave: clean where no client mistakes were found."""

    clean: bool
    findings: list[Finding]
    callers: list[Caller]
    not_judged: list[str]
