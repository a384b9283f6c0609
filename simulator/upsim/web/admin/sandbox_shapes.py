"""The shapes of a sandbox, its clock, its faults and its export."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from upsim.web.admin.shape_fields import AsText, At, From, Length


class Clock(TypedDict):
    """Mode, present time, and the speed of jobs (`pace`, only on a `real` clock)."""

    mode: Annotated[str, From("clock.label")]
    now: At
    pace: int | None


class Sandbox(TypedDict):
    """The summary of a sandbox.

    `scenario` is a name, a path on the server's disk, or `request body` for an inline scenario.
    """

    id: str
    scenario: str
    seed: Annotated[int, From("seeds.seed")]
    clock: Clock
    strict_keys: Annotated[bool, From("choices.strict_keys")]
    dialects: Annotated[dict[str, str], From("choices.dialects")]
    knobs: Annotated[dict[str, dict[str, str]], From("choices.knobs")]
    accounts: Annotated[Length, From("state.accounts")]
    jobs: Annotated[Length, From("state.jobs")]
    requests: Annotated[int, From("records.count")]
    deadlines: Annotated[int, From("deadlines.live")]


class NewSandbox(Sandbox):
    """A new sandbox: a key for each provider, and its base URLs by key and by path."""

    keys: dict[str, str]
    base_urls: dict[str, str]
    path_urls: dict[str, str]


class Sandboxes(TypedDict):
    """A page of the sandboxes."""

    sandboxes: list[Sandbox]
    total: int


class Snapshot(TypedDict):
    """A named snapshot: the instant of its state, and what the state has."""

    name: str
    at: At
    accounts: Annotated[Length, From("state.accounts")]
    jobs: Annotated[Length, From("state.jobs")]
    events: Annotated[Length, From("past.events")]


class Snapshots(TypedDict):
    """The snapshots of a sandbox, oldest first."""

    snapshots: list[Snapshot]


class DeletedSnapshot(TypedDict):
    """The name of the deleted snapshot."""

    deleted: str


class Deleted(TypedDict):
    """The deleted sandbox; the sandbox `default` is reset instead of deleted."""

    deleted: str
    emptied: bool


class Fired(TypedDict, total=False):
    """A deadline that ran, and the resulting state of its job or delivery."""

    at: str
    kind: str
    key: str
    state: str | None
    job: str | None
    attempt: int
    status: int | None


class Advanced(TypedDict):
    """The present time, and the deadlines that ran during the advance."""

    now: str
    fired: list[Fired]


class Fault(TypedDict):
    """An armed fault: the requests that it applies to, its action, and how often it fired.

    `on` is the value that the user wrote. `operations` are the operations that the fault applies
    to; for files they are the folders below `/media/`.
    """

    id: Annotated[str, From("rule.id")]
    provider: Annotated[str, From("rule.provider")]
    at: Annotated[str, From("rule.at")]
    on: Annotated[str | None, From("rule.on")]
    operations: list[str]
    account: Annotated[str | None, From("rule.account")]
    when: Annotated[dict[str, str], From("rule.when")]
    state: Annotated[str | None, From("rule.state")]
    first: Annotated[int | None, From("rule.first")]
    every: Annotated[int, From("rule.every")]
    after: Annotated[int, From("rule.after")]
    probability: Annotated[AsText | None, From("rule.probability")]
    do: Annotated[Any, From("rule.written")]
    matched: int
    fired: int
    remaining: int | None


class Faults(TypedDict):
    """A page of the armed faults."""

    faults: list[Fault]
    total: int


class Disarmed(TypedDict):
    """The faults that were disarmed."""

    disarmed: list[str]


class Export(TypedDict):
    """A sandbox as `upsim replay` reads it: how it was created, and all input since then."""

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
