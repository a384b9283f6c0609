"""The calls of the admin API, behind its rule."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import groupby

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from upsim.web.admin import contents, export, faults, probes, sandboxes, scenarios, webhooks
from upsim.web.admin.problems import AdminError, answer, problem
from upsim.web.admin.recording import recorded
from upsim.web.auth import AdminRule
from upsim.web.receivers import INBOX

Handler = Callable[[Request], Awaitable[Response]]
PREFIX = "/__sim"
OPEN = frozenset(f"{PREFIX}/{name}" for name in ("livez", "readyz", "health", "metrics"))
PAGE = ("offset", "limit")


@dataclass(frozen=True, slots=True)
class AdminCall:
    """One call: its path below `/__sim`, the query parameters and the body that it takes."""

    method: str
    path: str
    handle: Handler
    query: tuple[str, ...] = ()
    body: type[msgspec.Struct] | None = None


BOX = "/sandboxes/{id}"
CALLS = (
    AdminCall("GET", "/livez", probes.live),
    AdminCall("GET", "/readyz", probes.ready),
    AdminCall("GET", "/health", probes.health),
    AdminCall("GET", "/metrics", probes.metrics),
    AdminCall("GET", "/scenarios", scenarios.scenarios),
    AdminCall("GET", "/scenarios/{name:path}", scenarios.scenario),
    AdminCall("GET", "/schema", scenarios.schema),
    AdminCall("GET", "/sandboxes", sandboxes.listing, PAGE),
    AdminCall("POST", "/sandboxes", sandboxes.create, body=sandboxes.SandboxOrder),
    AdminCall("GET", BOX, sandboxes.show),
    AdminCall("DELETE", BOX, sandboxes.delete),
    AdminCall("POST", f"{BOX}/reset", sandboxes.reset, ("what",)),
    AdminCall("GET", f"{BOX}/clock", sandboxes.clock),
    AdminCall("PATCH", f"{BOX}/clock", sandboxes.change_clock, body=sandboxes.ClockChange),
    AdminCall("POST", f"{BOX}/clock/advance", sandboxes.advance, body=sandboxes.Advance),
    AdminCall("GET", f"{BOX}/jobs", contents.jobs, (*PAGE, "provider", "state")),
    AdminCall("GET", f"{BOX}/jobs/{{job}}", contents.job),
    AdminCall("PUT", f"{BOX}/jobs/{{job}}/state", contents.set_state, body=contents.StateChange),
    AdminCall("GET", f"{BOX}/accounts", contents.accounts),
    AdminCall(
        "PUT",
        f"{BOX}/accounts/{{provider}}",
        contents.change_account,
        body=contents.AccountChange,
    ),
    AdminCall(
        "POST", f"{BOX}/accounts/{{provider}}/keys", contents.issue_key, body=contents.KeyOrder
    ),
    AdminCall("GET", f"{BOX}/ledger", contents.ledger, (*PAGE, "provider")),
    AdminCall("GET", f"{BOX}/faults", faults.listing),
    AdminCall("POST", f"{BOX}/faults", faults.arm_one, body=faults.FaultOrder),
    AdminCall("DELETE", f"{BOX}/faults", faults.clear),
    AdminCall("GET", f"{BOX}/faults/{{fault}}", faults.show),
    AdminCall("DELETE", f"{BOX}/faults/{{fault}}", faults.disarm_one),
    AdminCall("GET", f"{BOX}/export", export.export),
    AdminCall("GET", f"{BOX}/journal", contents.journal, ("since", "limit", "provider")),
    AdminCall("POST", f"{BOX}/journal/find", contents.find, body=contents.JournalQuery),
    AdminCall("POST", f"{BOX}/journal/count", contents.count, body=contents.JournalQuery),
    AdminCall("GET", f"{BOX}/webhooks", webhooks.listing, (*PAGE, "job", "outcome")),
    AdminCall("GET", f"{BOX}/webhooks/{{delivery}}", webhooks.show),
    AdminCall("POST", f"{BOX}/webhooks/{{delivery}}/resend", webhooks.resend),
    AdminCall("GET", f"{BOX}/inbox/{{name}}/messages", webhooks.messages, ("since", "limit")),
    AdminCall("ANY", f"{BOX}/inbox/{{name}}", webhooks.receive_message, ("status",)),
)
"""Every call of this version, those of one path side by side."""


def routes() -> list[BaseRoute]:
    """One route for each path, so that a 405 names all its methods."""
    grouped = groupby(CALLS, key=lambda call: call.path)
    found: list[BaseRoute] = [_route(path, list(calls)) for path, calls in grouped]
    return [Route(PREFIX, index), Route(f"{PREFIX}/", index), *found]


async def index(_request: Request) -> Response:
    """`GET /__sim`: every call, what it does and what it takes."""
    return answer({"calls": [_described(call) for call in CALLS]})


async def guarded(rule: AdminRule, scope: Scope, receive: Receive, send: Send) -> bool:
    """Whether the request was refused (and answered) by the rule of the admin API."""
    if scope["path"] in OPEN or INBOX.match(scope["path"]):
        return False
    refusal = rule.refusal(scope)
    if refusal is None:
        return False
    await problem(refusal.status, refusal.code, refusal.message)(scope, receive, send)
    return True


def _route(path: str, calls: list[AdminCall]) -> Route:
    by_method = {call.method: call for call in calls}
    if "ANY" in by_method:
        return Route(PREFIX + path, webhooks.Receiver)

    async def handle(request: Request) -> Response:
        call = by_method["GET" if request.method == "HEAD" else request.method]
        _check_query(request, call)
        return await recorded(request, call.handle)

    return Route(PREFIX + path, handle, methods=list(by_method))


def _check_query(request: Request, call: AdminCall) -> None:
    for name in request.query_params:
        if name not in call.query:
            near = get_close_matches(name, call.query, n=1)
            allowed = ", ".join(call.query) or "none"
            hint = f"did you mean {near[0]}?" if near else f"allowed: {allowed}"
            raise AdminError(400, "invalid", f"unknown query parameter {name[:40]!r}; {hint}")


def _described(call: AdminCall) -> dict[str, object]:
    does = (call.handle.__doc__ or "").partition("\n")[0].partition("`: ")[2]
    path = PREFIX + call.path
    described: dict[str, object] = {"method": call.method, "path": path, "does": does}
    if call.query:
        described["query"] = list(call.query)
    if call.body is not None:
        schema = msgspec.json.schema(call.body)["$defs"][call.body.__name__]
        described["body"] = schema["properties"]
    return described
