"""The states of a job, the legal moves between them, and the steps of a plan."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class JobState(StrEnum):
    """The state of a job. `wire.py` of each provider maps it to the provider's status."""

    WAITING = "waiting"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    DELETED = "deleted"


TERMINAL = frozenset(
    {JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.TIMEOUT, JobState.DELETED}
)
UNSUCCESSFUL = frozenset({JobState.FAILED, JobState.CANCELLED, JobState.TIMEOUT})

EDGES: frozenset[tuple[JobState, JobState]] = frozenset(
    [(JobState.WAITING, JobState.PROCESSING)]
    + [(a, b) for a in (JobState.WAITING, JobState.PROCESSING) for b in TERMINAL]
    + [(a, JobState.DELETED) for a in TERMINAL - {JobState.DELETED}]
)
"""The moves that exist: forward only; a terminal state changes to `deleted` alone."""


class Failure(msgspec.Struct, frozen=True):
    """The reason of a failed job: the catalogue's name, its code and text, and further fields."""

    name: str
    code: int | str | None
    message: str
    status: int = 0
    extra: tuple[tuple[str, object], ...] = ()


class Phase(msgspec.Struct, frozen=True):
    """One step of a plan: the state, and how it ends.

    It ends after `lasts` microseconds, after `polls` polls, or (if both are None) only by a
    command. The last phase of a plan has no end; `failure` is the reason if it is not a
    success.
    """

    state: JobState
    lasts: int | None = None
    polls: int | None = None
    failure: Failure | None = None
