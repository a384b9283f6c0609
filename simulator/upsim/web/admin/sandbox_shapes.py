"""The shapes of a sandbox and of what drives it: its clock, its faults, its export."""

from __future__ import annotations

from typing import Any, TypedDict


class Clock(TypedDict):
    """Mode, present instant, and how many times as fast jobs run: on a `real` clock alone."""

    mode: str
    now: str
    pace: int | None


class Sandbox(TypedDict):
    """A sandbox at a glance.

    `scenario` is a name, a path on the server's disk, or `request body` for one that was sent.
    """

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


class Fault(TypedDict):
    """An armed fault: whose calls it is for, what it does, and how often it did.

    `on` is as it was written; `operations` are those that it really is for, and of files the
    folders below `/media/`.
    """

    id: str
    provider: str
    at: str
    on: str | None
    operations: list[str]
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
