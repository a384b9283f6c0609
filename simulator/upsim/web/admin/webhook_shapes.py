"""The shapes of webhooks: sent webhooks with their outcome, and received inbox messages."""

from __future__ import annotations

from typing import Annotated, TypedDict

from upsim.core.secrets import hidden_url
from upsim.web.admin.exchange_shapes import Body
from upsim.web.admin.shape_fields import As, At, From, HiddenOrNone, NonEmpty


class Attempt(TypedDict):
    """One attempt to deliver a webhook: the sent headers, and the response."""

    at: At
    number: Annotated[int | None, As(lambda number: number or None)]
    stamp: int
    headers: dict[str, str]
    sent: bool
    status: int | None
    error: HiddenOrNone
    answer: Body
    next_at: At | None
    fault: NonEmpty


class Delivery(TypedDict):
    """A webhook with its attempts."""

    id: str
    job: Annotated[str, From("created.job")]
    job_state: Annotated[str, From("created.state.value")]
    url: Annotated[str, From("created.url"), As(hidden_url)]
    created_at: Annotated[At, From("created.at")]
    stamp: Annotated[int, From("created.stamp")]
    outcome: str
    ended_at: str | None
    next_at: str | None
    body: Body
    attempts: list[Attempt]


class Deliveries(TypedDict):
    """A page of the webhooks."""

    deliveries: list[Delivery]
    total: int


class Message(TypedDict):
    """A request to an inbox, unchanged."""

    number: int
    at: At
    method: str
    target: str
    headers: dict[str, str]
    body: Annotated[str, As(lambda body: body.decode("utf-8", "replace"))]
    size: int
    truncated: bool


class Messages(TypedDict):
    """Messages in order."""

    messages: list[Message]
    total: int


class Received(TypedDict):
    """The response of an inbox."""

    received: bool
