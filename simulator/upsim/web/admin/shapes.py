"""The shapes of the admin API's answers. Views are checked against them, the document shows them.

Instants are ISO 8601 texts in UTC, amounts are exact decimals as texts.
"""

from __future__ import annotations

from typing import Any, TypedDict


class Status(TypedDict):
    """The answer of a probe."""

    status: str


class Health(TypedDict):
    """What is served; `providers` gives the newest date of each baseline."""

    status: str
    version: str
    providers: dict[str, str]
    scenarios: list[str]


class Called(TypedDict, total=False):
    """A call of the admin API: its query parameters, and the fields of its body."""

    method: str
    path: str
    does: str
    query: list[str]
    body: dict[str, Any]


class Index(TypedDict):
    """Every call, and where their document is."""

    openapi: str
    calls: list[Called]


class ErrorText(TypedDict):
    """What went wrong: a code for programs, a text for people."""

    code: str
    message: str


class Problem(TypedDict):
    """The one shape of every error."""

    error: ErrorText


class Evidence(TypedDict):
    """Why a fact is believed: `documented`, `observed` or `assumed`, where, and when."""

    grade: str
    source: str
    date: str


class ScenarioLine(TypedDict):
    """A scenario at a glance."""

    name: str
    provider: str
    summary: str


class Scenarios(TypedDict):
    """A page of the scenarios that are loaded."""

    scenarios: list[ScenarioLine]
    total: int


ScenarioValue = TypedDict(
    "ScenarioValue", {"path": str, "value": Any, "from": str, "evidence": Evidence | None}
)
"""One value of a resolved scenario; `from` is its file and line."""


class ScenarioShown(TypedDict):
    """A scenario with everything that it extends merged in."""

    name: str
    provider: str
    summary: str
    evidence: Evidence | None
    files: list[str]
    values: list[ScenarioValue]


class Clock(TypedDict):
    """Mode, present instant, and how many times as fast jobs run on a `real` clock."""

    mode: str
    now: str
    pace: int


class Sandbox(TypedDict):
    """A sandbox at a glance."""

    id: str
    scenario: str
    seed: int
    clock: Clock
    strict_keys: bool
    dialects: dict[str, str]
    knobs: dict[str, dict[str, str]]
    accounts: int
    jobs: int
    requests: int
    deadlines: int


class NewSandbox(Sandbox):
    """A new sandbox: a key for each provider, and its addresses by key and by path."""

    keys: dict[str, str]
    base_urls: dict[str, str]
    path_urls: dict[str, str]


class Sandboxes(TypedDict):
    """A page of the sandboxes."""

    sandboxes: list[Sandbox]
    total: int


class Deleted(TypedDict):
    """Which sandbox is gone; `default` is emptied instead."""

    deleted: str
    emptied: bool


class Fired(TypedDict, total=False):
    """A deadline that ran, and the state that it left its job or delivery in."""

    at: str
    kind: str
    key: str
    state: str | None
    job: str | None
    attempt: int
    status: int | None


class Advanced(TypedDict):
    """The present instant, and what happened on the way."""

    now: str
    fired: list[Fired]


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
    """The file that a job makes."""

    size: str
    audio: bool


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


class Fault(TypedDict):
    """An armed fault: whose calls it is for, what it does, and how often it did."""

    id: str
    provider: str
    at: str
    on: str | None
    account: str | None
    when: dict[str, str]
    state: str | None
    first: int | None
    every: int
    after: int
    probability: str | None
    do: Any
    matched: int
    fired: int
    remaining: int | None


class Faults(TypedDict):
    """A page of the armed faults."""

    faults: list[Fault]
    total: int


class Disarmed(TypedDict):
    """The faults that were taken away."""

    disarmed: list[str]


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
    do: Any
    evidence: Evidence | None


class Why(TypedDict):
    """Why an answer is as it is.

    `check` is the check that refused, `rule` the catalogue entry that it chose, `compared` the
    values that it looked at. `measured` is the video, `price` the evidence of the model's price,
    `entries` what was posted to the ledger, `faults` what was done to the answer on purpose.
    """

    check: str | None
    rule: Rule | None
    compared: dict[str, str]
    model: str | None
    price: Evidence | None
    measured: Media | None
    assumed: bool
    entries: list[Entry]
    faults: list[Acted]


class Exchange(TypedDict):
    """A request and its answer; `status` 0 says that nothing was sent."""

    number: int
    at: str
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
    assumed_media: Media | None
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


class Attempt(TypedDict):
    """One attempt to deliver: what was sent beside the body, and what came back."""

    at: str
    number: int | None
    stamp: int
    headers: dict[str, str]
    sent: bool
    status: int | None
    error: str | None
    answer: Body
    next_at: str | None
    fault: str | None


class Delivery(TypedDict):
    """A notification with its attempts."""

    id: str
    job: str
    job_state: str
    url: str
    created_at: str
    stamp: int
    outcome: str
    ended_at: str | None
    next_at: str | None
    body: Body
    attempts: list[Attempt]


class Deliveries(TypedDict):
    """A page of the notifications."""

    deliveries: list[Delivery]
    total: int


class Message(TypedDict):
    """A request to an inbox, as it came."""

    number: int
    at: str
    method: str
    target: str
    headers: dict[str, str]
    body: str
    size: int
    truncated: bool


class Messages(TypedDict):
    """Messages in order."""

    messages: list[Message]
    total: int


class Received(TypedDict):
    """What an inbox answers."""

    received: bool


class Export(TypedDict):
    """A sandbox as `upsim replay` reads it: how it was made, and everything that came in since."""

    format: str
    version: int
    upsim: str
    sandbox: dict[str, Any]
    server: dict[str, Any]
    rules: dict[str, str]
    values: dict[str, Any] | None
    keys: list[dict[str, Any]]
    stamps: list[int]
    commands: list[dict[str, Any]]
    incomplete: dict[str, Any] | None


class Shown(TypedDict):
    """An exchange that a finding names; of one that the journal lost only the number is left."""

    number: int
    at: str | None
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

    every: str
    factor: str
    most: str | None
    evidence: Evidence


class Caller(TypedDict):
    """How the jobs of one provider were polled; pauses in seconds, the caller's own."""

    provider: str
    jobs: int
    polls: int
    hasty_polls: int
    late_polls: int
    shortest_pause: str | None
    advised: Advised | None


class ReportCard(TypedDict):
    """How the callers of a sandbox behave: clean where nothing was found."""

    clean: bool
    findings: list[Finding]
    callers: list[Caller]
    not_judged: list[str]
