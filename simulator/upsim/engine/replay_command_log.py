"""The command log of a replayed sandbox: it stores nothing, and makes commands wait.

A command that waited in the recording waits again in the same place, until the replay has
reached the entry of its continuation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from upsim.core.media import Measured
from upsim.core.webhooks import AttemptOutcome
from upsim.engine.command_log import CURRENT, Command, CommandLog, Pairs, Send
from upsim.engine.request_records import LoggedRequest
from upsim.engine.timeline import Timeline

Turn = tuple[str, int]
"""A place where a command waited: its name, and how often it had come there before."""


class NotPlayedError(RuntimeError):
    """A foreign request to a sandbox that is being replayed."""


@dataclass(slots=True)
class ReplayedCommand(Command):
    """A replayed command.

    `turns`: where it waited when recorded; `known`: the measurement that it got there.
    `accepted`: the recorded response was no refusal.
    """

    turns: Collection[Turn] = ()
    known: dict[Turn, Measured] = field(default_factory=dict)
    accepted: bool = False
    at_turn: Turn | None = None
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def resumed(self, name: str, found: Measured | None = None) -> Measured | None:
        """Wait until the replay continues this command, if the recorded command waited here."""
        turn = self._next(name)
        self.pauses[name] = turn[1] + 1
        if turn not in self.turns:
            return found
        self.at_turn = turn
        self.waiting.set()
        await self.go.wait()
        self.go.clear()
        return self.known.get(turn, found)

    def upcoming(self, name: str) -> Measured | None:
        """Return the recorded measurement at the next wait of this name, or None."""
        return self.known.get(self._next(name))

    def waits(self, name: str) -> bool:
        """Return whether the recorded command waited at the next place of this name."""
        return self._next(name) in self.turns

    def keep_body(self, body: bytes, _size: int = 0, _digest: str = "") -> None:
        """Do nothing: a replay is not logged."""

    def answered(self, status: int, head: Pairs, body: bytes) -> None:
        """Do nothing: a replay is not logged."""

    def tape(self, send: Send) -> Send:
        """Return `send` unchanged: a replay is not logged."""
        return send

    def _next(self, name: str) -> Turn:
        return name, self.pauses.get(name, 0)


class ReplayCommandLog(CommandLog):
    """The log of a sandbox that is replayed. `stamps` are the recorded webhook timestamps."""

    __slots__ = ("_stamps",)

    def __init__(self, timeline: Timeline, stamps: Iterable[int]) -> None:
        """Start a log that stores nothing."""
        super().__init__(timeline, most=0, most_bytes=0)
        self._stamps = iter(stamps)

    def add(self, request: LoggedRequest, size: int) -> None:
        """Do nothing: a replay is not logged."""

    def begin(self, command: Command) -> Command:
        """Return the command that is being replayed."""
        return self.enter(command)

    def enter(self, command: Command) -> Command:
        """Return the command that is being replayed."""
        found = CURRENT.get()
        if found is None:
            raise NotPlayedError(f"{command.method} {command.path} is no command of the replay")
        return found

    def stamp(self, seconds: int) -> int:
        """Return the next recorded second; after the last one, return `seconds`."""
        return next(self._stamps, seconds)

    def told(self, delivery: str, number: int, outcome: AttemptOutcome) -> None:
        """Do nothing: a replay is not logged."""
