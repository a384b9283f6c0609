"""The shapes of notifications: what was sent and how that ended, and what came to an inbox."""

from __future__ import annotations

from typing import TypedDict

from upsim.web.admin.exchange_shapes import Body


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
