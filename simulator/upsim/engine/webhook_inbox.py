"""The built-in webhook receiver of a sandbox: the latest requests to its inboxes."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from upsim.core.instants import Instant

MAX_MESSAGES = 1000
MAX_BYTES = 8 * 1024 * 1024
MAX_BODY_KEPT = 65_536


class InboxMessage(NamedTuple):
    """One request to an inbox as received; a long body is cut, and `size` is the full size."""

    number: int
    at: Instant
    inbox: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    size: int

    @property
    def weight(self) -> int:
        """The approximate memory of the message in bytes."""
        return len(self.body) + len(self.target) + sum(len(n) + len(v) for n, v in self.headers)


class Inbox:
    """All inboxes of a sandbox; the oldest messages are dropped above a number or total size."""

    __slots__ = ("_count", "_kept", "_weight")

    def __init__(self) -> None:
        """Start without messages."""
        self._kept: deque[InboxMessage] = deque()
        self._count = 0
        self._weight = 0

    def put(self, message: InboxMessage) -> InboxMessage:
        """Keep a message; the numbers count the messages of all inboxes together."""
        self._count += 1
        kept = message._replace(number=self._count, body=message.body[:MAX_BODY_KEPT])
        self._kept.append(kept)
        self._weight += kept.weight
        while len(self._kept) > MAX_MESSAGES or self._weight > MAX_BYTES:
            self._weight -= self._kept.popleft().weight
        return kept

    def messages(self, name: str) -> tuple[InboxMessage, ...]:
        """Return the messages of an inbox, oldest first."""
        return tuple(message for message in self._kept if message.inbox == name)
