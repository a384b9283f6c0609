"""What one bare call of the application costs in this process, without a client."""

from __future__ import annotations

import json
import statistics
import time
import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

from upsim.app import App
from upsim.core.faults import FaultRule, Word
from upsim.engine.faults import arm, disarm
from upsim.engine.sandbox import Sandbox
from upsim.engine.settings import ServerSettings

from .models import CASES, Case
from .servers import Running

CALLS, ROUNDS, TURNS = 500, 9, 3
HERE = Running("http://127.0.0.1:4747", 0, 0.0)


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
    with _ready(case) as (app, submit):
        found: Any = json.loads(call(app, submit))
        for part in case.id_at:
            found = found[part]
        (poll,) = case.poll_requests(HERE, [str(found)])
        return _median(app, submit), _median(app, poll)


class Faults(NamedTuple):
    """Microseconds of a submit with no fault and with one, and of asking whether there are any."""

    none: float
    asking: float
    one: float


def faults(case: Case) -> Faults:
    """What faults cost a submit that meets none, measured in turns in one process."""
    with _ready(case) as (app, submit):
        sandbox = app.registry.default
        rule = FaultRule("never", case.submit.split("/")[1], "before_accept", Word.DROP)
        never = replace(rule, when=(("never", "so"),))
        none, one = [], []
        for _ in range(TURNS):
            none.append(_median(app, submit))
            arm(sandbox, never)
            one.append(_median(app, submit))
            disarm(sandbox, never.id)
        return Faults(statistics.median(none), _asking(sandbox), statistics.median(one))


def _asking(sandbox: Sandbox) -> float:
    """Microseconds of the one question that every call asks."""
    asked = timeit.repeat("if sandbox.state.faults: pass", number=10**6, globals=locals())
    return min(asked) - min(timeit.repeat("pass", number=10**6))


@contextmanager
def _ready(case: Case) -> Iterator[tuple[App, str]]:
    """An application whose account is open and rich, and the submit."""
    hosts = ("127.0.0.1:4747",)  # documented durations: no job ends while others are submitted
    settings = ServerSettings(hosts=hosts, admin_token="bench", jobs_max=10**6, pace=1)
    app = App(settings)
    submit = case.submit_request(HERE)
    funded(app, submit)
    try:
        yield app, submit
    finally:
        app.close()


def funded(app: App, submit: str) -> None:
    """Open the account by a submit and give it more money than a measurement can spend."""
    call(app, submit)
    for account in app.registry.default.state.accounts.values():
        app.registry.default.money.post(account, "top_up", Decimal(10**12))


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
