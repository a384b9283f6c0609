"""What one bare call of the application costs in this process, without a client."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from upsim.app import App
from upsim.core.faults import FaultRule, Word
from upsim.core.states import JobState
from upsim.engine.faults import arm, disarm
from upsim.engine.settings import ServerSettings

from .models import CASES, Case
from .servers import Running

CALLS, ROUNDS = 500, 9
TURNS, TURN_CALLS = 25, 100
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
        return _median(app, submit), _median(app, _poll(app, case, submit))


NEVER: dict[str, dict[str, Any]] = {
    "download": {"at": "download"},
    "poll of another account": {"at": "poll", "account": "nobody"},
    "poll in another state": {"at": "poll", "state": JobState.FAILED},
    "mid_body of another operation": {"at": "mid_body", "on": "no*such"},
    "submit with other values": {"at": "before_accept", "when": (("never", "so"),)},
}
"""Faults that no submit and no poll of the cases matches."""


def faults(case: Case) -> Iterator[tuple[str, float]]:
    """What each kind of fault costs the dearer of a submit and a poll that it cannot match.

    Calls with and without the fault take turns, in microseconds.
    """
    with _ready(case, clock="manual") as (app, submit):
        calls = (submit, _poll(app, case, submit))
        for name, fields in NEVER.items():
            rule = FaultRule("never", case.submit.split("/")[1], do=Word.DROP, **fields)
            yield name, max(_added(app, text, rule) for text in calls)


def _added(app: App, text: str, rule: FaultRule) -> float:
    """The median of what a fault adds to a call."""
    sandbox, added = app.registry.default, []
    for _ in range(TURNS):
        before = _each(app, text)
        arm(sandbox, rule)
        armed = _each(app, text)
        disarm(sandbox, rule.id)
        added.append(armed - (before + _each(app, text)) / 2)
    return statistics.median(added)


def _each(app: App, text: str) -> float:
    started = time.process_time()
    for _ in range(TURN_CALLS):
        call(app, text)
    return (time.process_time() - started) / TURN_CALLS * 1e6


def _poll(app: App, case: Case, submit: str) -> str:
    found: Any = json.loads(call(app, submit))
    for part in case.id_at:
        found = found[part]
    return case.poll_requests(HERE, [str(found)])[0]


@contextmanager
def _ready(case: Case, clock: str = "real") -> Iterator[tuple[App, str]]:
    """An application whose account is open and rich, and the submit."""
    hosts = ("127.0.0.1:4747",)  # documented durations: no job ends while others are submitted
    settings = ServerSettings(hosts=hosts, admin_token="bench", clock=clock, jobs_max=10**6, pace=1)
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
