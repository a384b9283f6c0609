"""One call of the admin API, as used by its route and its OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from upsim.web.admin.parameters import Parameter

Text = Annotated[str, msgspec.Meta(max_length=8192)]
"""A text of a body that is compared or read, but not stored."""
Name = Annotated[str, msgspec.Meta(max_length=200)]
"""A text of a body that is stored."""
ENTRIES = msgspec.Meta(max_length=100)
"""Maximum entries of an object in a body, such as one for each provider or knob."""
Handler = Callable[[Request], Awaitable[Response]]


class AdminCall(msgspec.Struct, frozen=True):
    """One call: its path below `/__sim`, its parameters, and the shape of its response.

    `errors` are additional error statuses; all calls of one kind share the common statuses.
    """

    method: str
    path: str
    handle: Handler
    answer: Any = dict[str, Any]
    query: tuple[Parameter, ...] = ()
    body: type[msgspec.Struct] | None = None
    status: int = 200
    media: str = "application/json"
    errors: tuple[int, ...] = ()
