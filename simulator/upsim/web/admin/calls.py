"""One call of the admin API, as its route and its OpenAPI document read it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from upsim.web.admin.parameters import Parameter

Text = Annotated[str, msgspec.Meta(max_length=8192)]
"""A text of a body that is compared or read, and not kept."""
Name = Annotated[str, msgspec.Meta(max_length=200)]
"""A text of a body that is kept."""
ENTRIES = msgspec.Meta(max_length=100)
"""Entries of an object in a body, such as one for each provider or for each knob."""
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class AdminCall:
    """One call: its path below `/__sim`, what it takes, and the shape of what it answers.

    `errors` are statuses that it may answer beside those that every call of its kind may.
    """

    method: str
    path: str
    handle: Handler
    query: tuple[Parameter, ...] = ()
    body: type[msgspec.Struct] | None = None
    answer: Any = dict[str, Any]
    status: int = 200
    media: str = "application/json"
    errors: tuple[int, ...] = ()
