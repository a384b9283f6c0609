"""The built-in receiver of a sandbox: what was posted to its inboxes, bounded."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from upsim.core.instants import Instant

MAX_MESSAGES = 1000
MAX_BYTES = 8 * 1024 * 1024
MAX_BODY_KEPT = 65_536


class InboxMessage(NamedTuple):
    """One request to an inbox, as it came; a long body is cut, `size` is that of the whole."""

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
        """About how many bytes it takes to keep."""
        return len(self.body) + len(self.target) + sum(len(n) + len(v) for n, v in self.headers)


class Inbox:
    """All inboxes of a sandbox; the oldest fall out when there are too many, or too big."""

    __slots__ = ("_count", "_kept", "_weight")

    def __init__(self) -> None:
        """Nothing came yet."""
        self._kept: deque[InboxMessage] = deque()
        self._count = 0
        self._weight = 0

    def put(self, message: InboxMessage) -> InboxMessage:
        """Keep a message, numbered over all inboxes."""
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
