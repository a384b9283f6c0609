"""A thin caller of an ASGI application: no client library between a step and the engine."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

App = Callable[..., Awaitable[None]]
HOST = "upsim.test"
ADMIN = {"authorization": "Bearer in-process", "content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Request:
    """A request: `body` is bytes, or a value that becomes JSON."""

    method: str
    path: str
    body: object = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: status, headers and body."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """Return the body as JSON, amounts as decimals."""
        return json.loads(self.body, parse_float=Decimal)


@dataclass(slots=True)
class Caller:
    """Sends requests to an application on one event loop."""

    app: App
    loop: asyncio.AbstractEventLoop

    def send(self, request: Request, headers: Mapping[str, str]) -> Answer:
        """Send one request and wait for its answer."""
        return self.loop.run_until_complete(exchange(self.app, request, headers))

    def admin(self, method: str, path: str, body: object = None) -> Answer:
        """Call the admin API."""
        return self.send(Request(method, f"/__sim/{path}", body), ADMIN)


async def exchange(app: App, request: Request, headers: Mapping[str, str]) -> Answer:
    """Send one request to an application and return its answer."""
    body = request.body
    if not isinstance(body, bytes):
        body = b"" if body is None else json.dumps(body).encode()
    path, _, query = request.path.partition("?")
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", HOST.encode()), *raw],
        "server": (HOST, 80),
        "client": ("127.0.0.1", 1),
        "state": {},
    }
    messages: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        messages.append(message)

    await app(scope, receive, send)
    start, *parts = messages
    return Answer(
        status=start["status"],
        headers=tuple((bytes(k), bytes(v)) for k, v in start["headers"]),
        body=b"".join(part.get("body", b"") for part in parts),
    )
