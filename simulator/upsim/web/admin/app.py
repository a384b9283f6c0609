"""The calls of the admin API, and the rule that guards them."""

from __future__ import annotations

from functools import cache
from itertools import groupby

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from upsim.scenario.versions import own_version
from upsim.web.admin import (
    events,
    exchange_shapes,
    export,
    faults,
    job_shapes,
    openapi,
    probes,
    report_card,
    sandbox_contents,
    sandbox_shapes,
    sandboxes,
    scenarios,
    server_shapes,
    webhook_shapes,
    webhooks,
)
from upsim.web.admin.calls import AdminCall
from upsim.web.admin.parameters import (
    JOB,
    LIMIT,
    LINES,
    MANY,
    OFFSET,
    OUTCOME,
    PAGE,
    PAUSES,
    PROVIDER,
    SINCE,
    STATE,
    STATUS,
    TYPES,
    WHAT,
)
from upsim.web.admin.problems import AdminError, NoBody, answer, nearest, problem, read
from upsim.web.admin.recorded_calls import recorded
from upsim.web.admin.sandboxes import registry_of
from upsim.web.auth import WRITES, AdminRule, page_refusal
from upsim.web.clock_driver import catch_up
from upsim.web.webhook_requests import INBOX

PREFIX = "/__sim"
OPEN = frozenset(f"{PREFIX}/{name}" for name in ("livez", "readyz", "health", "metrics"))


BOX = "/sandboxes/{id}"
TEXT = "text/plain"


async def index(_request: Request) -> Response:
    """`GET /__sim`: list every call, with its purpose and its parameters."""
    return answer({"openapi": f"{PREFIX}/openapi.json", "calls": [_described(c) for c in CALLS]})


async def describe(request: Request) -> Response:
    """`GET openapi.json`: return the OpenAPI document of the admin API."""
    return answer(openapi.document(CALLS, registry_of(request), PREFIX, own_version()))


CALLS = (
    AdminCall("GET", "", index, answer=server_shapes.Index),
    AdminCall("GET", "/openapi.json", describe),
    AdminCall("GET", "/livez", probes.live, answer=server_shapes.Status),
    AdminCall("GET", "/readyz", probes.ready, answer=server_shapes.Status),
    AdminCall("GET", "/health", probes.health, answer=server_shapes.Health),
    AdminCall("GET", "/metrics", probes.metrics, answer=str, media=TEXT),
    AdminCall(
        "GET", "/scenarios", scenarios.scenarios, (OFFSET, MANY), answer=server_shapes.Scenarios
    ),
    AdminCall(
        "GET", "/scenarios/{name:path}", scenarios.scenario, answer=server_shapes.ScenarioShown
    ),
    AdminCall("GET", "/schema", scenarios.schema),
    AdminCall("GET", "/sandboxes", sandboxes.listing, PAGE, answer=sandbox_shapes.Sandboxes),
    AdminCall(
        "POST",
        "/sandboxes",
        sandboxes.create,
        body=sandboxes.SandboxOrder,
        answer=sandbox_shapes.NewSandbox,
        status=201,
    ),
    AdminCall("GET", BOX, sandboxes.show, answer=sandbox_shapes.Sandbox),
    AdminCall("DELETE", BOX, sandboxes.delete, answer=sandbox_shapes.Deleted),
    AdminCall("POST", f"{BOX}/reset", sandboxes.reset, (WHAT,), answer=sandbox_shapes.Sandbox),
    AdminCall("GET", f"{BOX}/clock", sandboxes.clock, answer=sandbox_shapes.Clock),
    AdminCall(
        "PATCH",
        f"{BOX}/clock",
        sandboxes.change_clock,
        body=sandboxes.ClockChange,
        answer=sandbox_shapes.Clock,
    ),
    AdminCall(
        "POST",
        f"{BOX}/clock/advance",
        sandboxes.advance,
        body=sandboxes.Advance,
        answer=sandbox_shapes.Advanced,
    ),
    AdminCall(
        "GET",
        f"{BOX}/jobs",
        sandbox_contents.jobs,
        (*PAGE, PROVIDER, STATE),
        answer=job_shapes.Jobs,
    ),
    AdminCall("GET", f"{BOX}/jobs/{{job}}", sandbox_contents.job, answer=job_shapes.Job),
    AdminCall(
        "PUT",
        f"{BOX}/jobs/{{job}}/state",
        sandbox_contents.set_state,
        body=sandbox_contents.StateChange,
        answer=job_shapes.Job,
    ),
    AdminCall(
        "GET",
        f"{BOX}/accounts",
        sandbox_contents.accounts,
        (OFFSET, MANY),
        answer=job_shapes.Accounts,
    ),
    AdminCall(
        "PUT",
        f"{BOX}/accounts/{{provider}}",
        sandbox_contents.change_account,
        body=sandbox_contents.AccountChange,
        answer=job_shapes.Account,
    ),
    AdminCall(
        "POST",
        f"{BOX}/accounts/{{provider}}/keys",
        sandbox_contents.issue_key,
        body=sandbox_contents.KeyOrder,
        answer=job_shapes.NewKey,
        status=201,
    ),
    AdminCall(
        "GET",
        f"{BOX}/ledger",
        sandbox_contents.ledger,
        (OFFSET, LINES, PROVIDER),
        answer=job_shapes.Ledger,
    ),
    AdminCall("GET", f"{BOX}/faults", faults.listing, (OFFSET, MANY), answer=sandbox_shapes.Faults),
    AdminCall(
        "POST",
        f"{BOX}/faults",
        faults.arm_one,
        body=faults.FaultOrder,
        answer=sandbox_shapes.Fault,
        status=201,
    ),
    AdminCall("DELETE", f"{BOX}/faults", faults.clear, answer=sandbox_shapes.Disarmed),
    AdminCall("GET", f"{BOX}/faults/{{fault}}", faults.show, answer=sandbox_shapes.Fault),
    AdminCall(
        "DELETE", f"{BOX}/faults/{{fault}}", faults.disarm_one, answer=sandbox_shapes.Disarmed
    ),
    AdminCall(
        "GET",
        f"{BOX}/journal",
        sandbox_contents.journal,
        (SINCE, LIMIT, PROVIDER),
        answer=exchange_shapes.Journal,
    ),
    AdminCall(
        "POST",
        f"{BOX}/journal/find",
        sandbox_contents.find,
        body=sandbox_contents.JournalSearch,
        answer=exchange_shapes.Found,
    ),
    AdminCall(
        "POST",
        f"{BOX}/journal/count",
        sandbox_contents.count,
        body=sandbox_contents.JournalQuery,
        answer=exchange_shapes.Count,
    ),
    AdminCall(
        "GET",
        f"{BOX}/report-card",
        report_card.report_card,
        (PAUSES, PROVIDER),
        answer=exchange_shapes.ReportCard,
    ),
    AdminCall("GET", f"{BOX}/events", events.follow, (TYPES,), answer=str, media=events.MEDIA),
    AdminCall(
        "GET",
        f"{BOX}/webhooks",
        webhooks.listing,
        (*PAGE, JOB, OUTCOME),
        answer=webhook_shapes.Deliveries,
    ),
    AdminCall("GET", f"{BOX}/webhooks/{{delivery}}", webhooks.show, answer=webhook_shapes.Delivery),
    AdminCall(
        "POST",
        f"{BOX}/webhooks/{{delivery}}/resend",
        webhooks.resend,
        answer=webhook_shapes.Delivery,
    ),
    AdminCall(
        "GET",
        f"{BOX}/inbox/{{name}}/messages",
        webhooks.messages,
        (SINCE, LIMIT),
        answer=webhook_shapes.Messages,
    ),
    AdminCall(
        "ANY",
        f"{BOX}/inbox/{{name}}",
        webhooks.receive_message,
        (STATUS,),
        answer=webhook_shapes.Received,
    ),
    AdminCall("GET", f"{BOX}/export", export.export, answer=sandbox_shapes.Export),
)
"""Every call of this version; calls of the same path are adjacent."""


@cache
def routes() -> tuple[BaseRoute, ...]:
    """Return one route for each path, so that a 405 names all its methods."""
    grouped = groupby(CALLS, key=lambda call: call.path)
    return (*(_route(path, list(calls)) for path, calls in grouped), Route(f"{PREFIX}/", index))


async def guarded(rule: AdminRule, scope: Scope, receive: Receive, send: Send) -> bool:
    """Return whether the admin API's rule refused the request and sent the refusal."""
    if scope["path"] in OPEN:
        return False
    refusal = page_refusal(scope) if INBOX.match(scope["path"]) else rule.refusal(scope)
    if refusal is None:
        return False
    await problem(refusal.status, refusal.code, refusal.message)(scope, receive, send)
    return True


def _route(path: str, calls: list[AdminCall]) -> Route:
    by_method = {call.method: call for call in calls}
    if "ANY" in by_method:
        return Route(PREFIX + path, webhooks.Receiver)

    async def handle(request: Request) -> Response:
        with registry_of(request).room.share() as request.state.share:
            return await carried_out(request)

    async def carried_out(request: Request) -> Response:
        call = by_method["GET" if request.method == "HEAD" else request.method]
        _check_query(request, call)
        if call.body is None and request.method in WRITES:
            await read(request, NoBody)
        box = registry_of(request).sandboxes.get(request.path_params.get("id", ""))
        if box is not None:
            await catch_up(box)
        return await recorded(request, call.handle)

    return Route(PREFIX + path, handle, methods=list(by_method))


def _check_query(request: Request, call: AdminCall) -> None:
    known = [parameter.name for parameter in call.query]
    for name in request.query_params:
        if len(request.query_params.getlist(name)) > 1:
            raise AdminError(400, "invalid", f"query parameter {name[:40]!r} came twice")
        if name not in known:
            message = f"unknown query parameter {name[:40]!r}; {nearest(name, known)}"
            raise AdminError(400, "invalid", message)


def _described(call: AdminCall) -> server_shapes.Called:
    does = (call.handle.__doc__ or "").partition("\n")[0].partition("`: ")[2]
    path = PREFIX + call.path
    described: server_shapes.Called = {"method": call.method, "path": path, "does": does}
    if call.query:
        described["query"] = [parameter.name for parameter in call.query]
    if call.body is not None:
        schema = msgspec.json.schema(call.body)["$defs"][call.body.__name__]
        described["body"] = schema["properties"]
    return described
