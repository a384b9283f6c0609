"""One call of the admin API, as its route and its OpenAPI document read it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from upsim.web.admin.parameters import Parameter

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
