"""What one bare call of the application costs in this process, without a client."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

from upsim.app import App
from upsim.engine.settings import Settings

from .models import CASES, Case
from .servers import Running

CALLS, ROUNDS = 500, 9


def call(app: App, text: str) -> bytes:
    """Run one request to its end by hand; it must not need to wait."""
    head, _, body = text.partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ")
    pairs = [line.split(": ", 1) for line in lines]
    scope = {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "http_version": "1.1",
        "headers": [(k.lower().encode(), v.encode()) for k, v in pairs],
        "server": ("127.0.0.1", 4747),
        "client": ("127.0.0.1", 1),
    }
    return run(app, scope, body.encode())


def run(app: App, scope: dict[str, Any], body: bytes) -> bytes:
    """Call the application."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:  # noqa: ANN401 - an ASGI message
        sent.append(message)

    steps = app(scope, receive, send)
    try:
        steps.send(None)
    except StopIteration:
        return bytes(sent[1]["body"])
    raise RuntimeError("the call had to wait")


def measure(case: Case) -> tuple[float, float]:
    """Microseconds of a submit and of a poll."""
    settings = Settings(hosts=("127.0.0.1:4747",), admin_token="bench", jobs_max=10**6)
    app = App(settings)
    here = Running("http://127.0.0.1:4747", 0, 0.0)
    submit = case.submit_request(here)
    funded(app, submit)
    found: Any = json.loads(call(app, submit))
    for part in case.id_at:
        found = found[part]
    (poll,) = case.poll_requests(here, [str(found)])
    try:
        return _median(app, submit), _median(app, poll)
    finally:
        app.close()


def funded(app: App, submit: str) -> None:
    """Open the account by a submit and give it more money than a measurement can spend."""
    call(app, submit)
    for account in app.registry.default.state.accounts.values():
        app.registry.default.post(account, "top_up", Decimal(10**12))


def _median(app: App, text: str) -> float:
    """The median round, less what taking the text apart costs."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(CALLS):
            call(app, text)
        with_call = time.process_time() - started
        started = time.process_time()
        for _ in range(CALLS):
            _prepare(text)
        rounds.append((with_call - (time.process_time() - started)) / CALLS * 1e6)
    return sorted(rounds)[ROUNDS // 2]


def _prepare(text: str) -> None:
    head, _, body = text.partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    first.split(" ")
    pairs = [line.split(": ", 1) for line in lines]
    [(k.lower().encode(), v.encode()) for k, v in pairs]
    body.encode()


def table() -> list[tuple[str, float, float]]:
    """Submit and poll of each model."""
    return [(case.name, *measure(case)) for case in CASES]
