"""The built-in receiver of a sandbox: what was posted to its inboxes, bounded."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from upsim.core.instants import Instant

MOST_NAMES = 64
MOST_MESSAGES = 256
KEPT_BODY = 65_536


class Message(NamedTuple):
    """One request to an inbox, as it came; a long body is cut, `size` is that of the whole."""

    number: int
    at: Instant
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    size: int


class Inbox:
    """The inboxes of a sandbox by name; the oldest name and the oldest messages fall out."""

    __slots__ = ("_boxes", "_count")

    def __init__(self) -> None:
        """Nothing came yet."""
        self._boxes: dict[str, deque[Message]] = {}
        self._count = 0

    def put(self, name: str, message: Message) -> Message:
        """Keep a message, numbered over all inboxes."""
        box = self._boxes.pop(name, None)
        if box is None:
            box = deque(maxlen=MOST_MESSAGES)
            if len(self._boxes) >= MOST_NAMES:
                del self._boxes[next(iter(self._boxes))]
        self._boxes[name] = box
        self._count += 1
        kept = message._replace(number=self._count, body=message.body[:KEPT_BODY])
        box.append(kept)
        return kept

    def messages(self, name: str) -> tuple[Message, ...]:
        """What an inbox holds, oldest first."""
        return tuple(self._boxes.get(name, ()))
