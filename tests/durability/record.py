"""The knowledge of a client: every request that it sent, and everything that responses said."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

Place = tuple[str, str]
"""A sandbox, and the id of something in it."""
Kind = tuple[str, str, str]
"""The facts that a client can see of a job that it sent: sandbox, provider and option."""


@dataclass(slots=True)
class Submit:
    """A submit that was sent."""

    sandbox: str
    provider: str
    option: str
    price: Decimal
    hooked: bool
    video: str

    @property
    def kind(self) -> Kind:
        """The facts by which a job of this submit is recognised."""
        return (self.sandbox, self.provider, self.option)


@dataclass(slots=True)
class Box:
    """A sandbox. `status` is what the client knows of it."""

    name: str
    clock: str
    status: Literal["making", "made", "deleting", "deleted"] = "making"
    keys: dict[str, str] = field(default_factory=dict)
    now: str = ""
    """The latest time in a response."""
    base: str = ""
    """The time after the last restart."""
    sent: Decimal = Decimal(0)
    """Seconds by which all requests since then have advanced it, if all of them happened."""

    def saw(self, now: str) -> None:
        """Note a time in a response."""
        self.now = max(self.now, now)


@dataclass(slots=True)
class Record:
    """Everything that a client knows of a store, over all lives of its server."""

    boxes: dict[str, Box] = field(default_factory=dict)
    submits: dict[Place, Submit] = field(default_factory=dict)
    """The answered ones, by job."""
    unanswered: list[Submit] = field(default_factory=list)
    seen: dict[Place, tuple[object, ...]] = field(default_factory=dict)
    """What the admin API showed of each job after an earlier restart."""
    states: dict[Place, str] = field(default_factory=dict)
    """The end of a job, as a response said."""
    marked: set[Place] = field(default_factory=set)
    """Jobs that Venice has finalised, as a response said."""
    keys: list[tuple[str, str, str]] = field(default_factory=list)
    """Sandbox, provider and key of issued keys."""
    uploads: dict[str, bytes] = field(default_factory=dict)
    deliveries: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """The id of the delivery for a sandbox, a job and a state."""
    adopted: set[Place] = field(default_factory=set)
    """Jobs whose submit got no response, but which happened."""
    key_of: dict[Place, str] = field(default_factory=dict)
    """The key with which a job was submitted."""
    wrong: list[str] = field(default_factory=list)
    """Responses that no request should get."""
    answered: int = 0

    def send(self, submit: Submit) -> Submit:
        """Note a submit before it is sent."""
        self.unanswered.append(submit)
        return submit

    def accepted(self, submit: Submit, job: str, charged: object = None) -> None:
        """Note the response to a submit."""
        self.unanswered.remove(submit)
        place = (submit.sandbox, job)
        if place in self.submits or place in self.seen:
            self.wrong.append(f"the id {place} was given twice")
        if charged is not None and Decimal(str(charged)) != submit.price:
            self.wrong.append(f"{place} costs {charged}, not {submit.price}")
        self.submits[place] = submit

    def expect(self, what: str, status: int, body: bytes, *allowed: int) -> bool:
        """Count a response; note one with another status."""
        self.answered += 1
        if status in allowed:
            return True
        self.wrong.append(f"{what}: {status} {body[:300]!r}")
        return False

    def forget(self, sandbox: str) -> None:
        """Forget what was in a deleted sandbox."""
        for known in (self.submits, self.seen, self.states):
            for place in [place for place in known if place[0] == sandbox]:
                del known[place]
        self.marked = {place for place in self.marked if place[0] != sandbox}
        self.unanswered = [one for one in self.unanswered if one.sandbox != sandbox]
        for path in [path for path in self.uploads if path.startswith(f"/sandbox/{sandbox}/")]:
            del self.uploads[path]


def seconds_between(early: str, late: str) -> Decimal:
    """Return the seconds from one time of the admin API to another."""
    passed: Any = datetime.fromisoformat(late) - datetime.fromisoformat(early)
    return Decimal(passed.days * 86400 + passed.seconds) + Decimal(passed.microseconds) / 10**6
