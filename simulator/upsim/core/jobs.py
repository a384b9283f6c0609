"""A job: its accepted submit, and its state changes since."""

from __future__ import annotations

import msgspec

from upsim.core.events import JobAccepted, JobMoved
from upsim.core.instants import Instant
from upsim.core.states import EDGES, TERMINAL, Failure, JobState, Phase

REVOKED = "revoked"
"""The mark of a job whose finished file was taken away."""
DELETE_AFTER_DOWNLOAD = "delete_after_download"
"""The mark of a job whose file is revoked once it was downloaded whole."""

RESTORED = "restored"
"""The mark of a job whose charge a reset of the ledger gave back: its refund adds nothing."""

SUBSTITUTE = "substitute: "
"""How the mark of a job begins whose output could not be made of its own video; then why."""


class Job(msgspec.Struct, frozen=True, gc=False):
    """An accepted job and its state changes; `step` is the position in its plan."""

    accepted: JobAccepted
    moves: tuple[JobMoved, ...] = ()
    step: int = 0
    started: bool = True
    polls: int = 0
    marks: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """The provider's public id of the job."""
        return self.accepted.job

    @property
    def state(self) -> JobState:
        """The present state."""
        return self.moves[-1].state if self.moves else self.accepted.phases[0].state

    @property
    def failure(self) -> Failure | None:
        """The reason why the job ended without success; kept after the job was deleted."""
        for move in self.moves:
            if move.failure is not None:
                return move.failure
        return None

    @property
    def substitutes(self) -> list[str]:
        """The parts of the output that were generated, with the reasons."""
        found = (mark for mark in self.marks if mark.startswith(SUBSTITUTE))
        return sorted(mark.removeprefix(SUBSTITUTE) for mark in found)

    @property
    def ended(self) -> bool:
        """Whether the job is in a terminal state."""
        return (self.moves[-1] if self.moves else self.accepted.phases[0]).state in TERMINAL

    @property
    def next_phase(self) -> Phase | None:
        """The next phase of the plan; None if there is none, or if a command replaced the plan."""
        following = self.step + 1
        return self.accepted.phases[following] if following < len(self.accepted.phases) else None

    def entered(self, *states: JobState) -> Instant | None:
        """Return when the job first entered one of these states; None if it has not yet."""
        for move in self.moves:
            if move.state in states:
                return move.at
        return None

    @property
    def ended_at(self) -> Instant | None:
        """The time at which the job ended; None if it has not ended."""
        for move in self.moves:
            if move.state in TERMINAL:
                return move.at
        return None


class IllegalMoveError(ValueError):
    """A state change that `EDGES` does not contain: a bug or a forbidden admin request."""


def check_move(job: Job, state: JobState) -> None:
    """Raise IllegalMoveError if the job may not change to this state."""
    if (job.state, state) not in EDGES:
        msg = f"job {job.id} is {job.state}; it cannot become {state}"
        raise IllegalMoveError(msg)
