"""The calls of the admin API, and the access rule that protects them."""

from __future__ import annotations

from functools import cache, partial
from itertools import groupby

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from upsim.scenario.versions import own_version
from upsim.web.admin import (
    accounts,
    clocks,
    events,
    exchange_shapes,
    export,
    faults,
    job_shapes,
    jobs,
    journal,
    openapi,
    probes,
    report_card,
    sandbox_shapes,
    sandboxes,
    scenarios,
    server_shapes,
    snapshots,
    webhook_shapes,
    webhooks,
)
from upsim.web.admin.admin_call import AdminCall
from upsim.web.admin.parameters import (
    AT,
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
from upsim.web.admin.problems import AdminError, NoBody, answer, nearest, read
from upsim.web.admin.recorded_calls import recorded
from upsim.web.admin.request_sandbox import registry_of
from upsim.web.admin_access import PREFIX, WRITES
from upsim.web.clock_driver import catch_up

BOX = "/sandboxes/{id}"
TEXT = "text/plain"


async def index(_request: Request) -> Response:
    """`GET /__sim`: list every call, with its purpose and its parameters."""
    return answer({"openapi": f"{PREFIX}/openapi.json", "calls": [_described(c) for c in CALLS]})


async def describe(request: Request) -> Response:
    """`GET openapi.json`: return the OpenAPI document of the admin API."""
    return answer(openapi.document(CALLS, registry_of(request), PREFIX, own_version()))


GET, POST, PUT, PATCH, DELETE, ANY = (
    partial(AdminCall, method) for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "ANY")
)
CALLS = (
    GET("", index, server_shapes.Index),
    GET("/openapi.json", describe),
    GET("/livez", probes.live, server_shapes.Status),
    GET("/readyz", probes.ready, server_shapes.Status),
    GET("/health", probes.health, server_shapes.Health),
    GET("/metrics", probes.metrics, str, media=TEXT),
    GET("/scenarios", scenarios.scenarios, server_shapes.Scenarios, (OFFSET, MANY)),
    GET("/scenarios/{name:path}", scenarios.scenario, server_shapes.ScenarioShown),
    GET("/schema", scenarios.schema),
    GET("/sandboxes", sandboxes.listing, sandbox_shapes.Sandboxes, PAGE),
    POST(
        "/sandboxes",
        sandboxes.create,
        sandbox_shapes.NewSandbox,
        body=sandboxes.SandboxOrder,
        status=201,
    ),
    GET(BOX, sandboxes.show, sandbox_shapes.Sandbox),
    DELETE(BOX, sandboxes.delete, sandbox_shapes.Deleted),
    POST(f"{BOX}/reset", sandboxes.reset, sandbox_shapes.Sandbox, (WHAT,)),
    GET(f"{BOX}/clock", clocks.clock, sandbox_shapes.Clock),
    PATCH(f"{BOX}/clock", clocks.change_clock, sandbox_shapes.Clock, body=clocks.ClockChange),
    POST(f"{BOX}/clock/advance", clocks.advance, sandbox_shapes.Advanced, body=clocks.Advance),
    GET(f"{BOX}/jobs", jobs.jobs, job_shapes.Jobs, (*PAGE, PROVIDER, STATE, AT)),
    GET(f"{BOX}/jobs/{{job}}", jobs.job, job_shapes.Job, (AT,)),
    PUT(
        f"{BOX}/jobs/{{job}}/state",
        jobs.set_state,
        job_shapes.Job,
        body=jobs.StateChange,
    ),
    GET(f"{BOX}/accounts", accounts.accounts, job_shapes.Accounts, (OFFSET, MANY, AT)),
    PUT(
        f"{BOX}/accounts/{{provider}}",
        accounts.change_account,
        job_shapes.Account,
        body=accounts.AccountChange,
    ),
    POST(
        f"{BOX}/accounts/{{provider}}/keys",
        accounts.issue_key,
        job_shapes.NewKey,
        body=accounts.KeyOrder,
        status=201,
    ),
    GET(f"{BOX}/ledger", accounts.ledger, job_shapes.Ledger, (OFFSET, LINES, PROVIDER, AT)),
    GET(f"{BOX}/faults", faults.listing, sandbox_shapes.Faults, (OFFSET, MANY)),
    POST(f"{BOX}/faults", faults.arm_one, sandbox_shapes.Fault, body=faults.FaultOrder, status=201),
    DELETE(f"{BOX}/faults", faults.clear, sandbox_shapes.Disarmed),
    GET(f"{BOX}/faults/{{fault}}", faults.show, sandbox_shapes.Fault),
    DELETE(f"{BOX}/faults/{{fault}}", faults.disarm_one, sandbox_shapes.Disarmed),
    GET(
        f"{BOX}/journal",
        journal.journal,
        exchange_shapes.Journal,
        (SINCE, LIMIT, PROVIDER, AT),
    ),
    POST(
        f"{BOX}/journal/find",
        journal.find,
        exchange_shapes.Found,
        body=journal.JournalSearch,
    ),
    POST(
        f"{BOX}/journal/count",
        journal.count,
        exchange_shapes.Count,
        body=journal.JournalQuery,
    ),
    GET(
        f"{BOX}/report-card",
        report_card.report_card,
        exchange_shapes.ReportCard,
        (PAUSES, PROVIDER),
    ),
    GET(f"{BOX}/events", events.follow, str, (TYPES,), media=events.MEDIA),
    GET(f"{BOX}/webhooks", webhooks.listing, webhook_shapes.Deliveries, (*PAGE, JOB, OUTCOME)),
    GET(f"{BOX}/webhooks/{{delivery}}", webhooks.show, webhook_shapes.Delivery),
    POST(f"{BOX}/webhooks/{{delivery}}/resend", webhooks.resend, webhook_shapes.Delivery),
    GET(
        f"{BOX}/inbox/{{name}}/messages", webhooks.messages, webhook_shapes.Messages, (SINCE, LIMIT)
    ),
    ANY(f"{BOX}/inbox/{{name}}", webhooks.receive_message, webhook_shapes.Received, (STATUS,)),
    GET(f"{BOX}/snapshots", snapshots.listing, sandbox_shapes.Snapshots),
    POST(
        f"{BOX}/snapshots",
        snapshots.create,
        sandbox_shapes.Snapshot,
        body=snapshots.SnapshotOrder,
        status=201,
    ),
    POST(f"{BOX}/snapshots/{{name}}/restore", snapshots.restore, sandbox_shapes.Sandbox),
    DELETE(f"{BOX}/snapshots/{{name}}", snapshots.delete, sandbox_shapes.DeletedSnapshot),
    GET(f"{BOX}/export", export.export, sandbox_shapes.Export),
)
"""Every call of this version; calls of the same path are adjacent."""


@cache
def routes() -> tuple[BaseRoute, ...]:
    """Return one route for each path, so that a 405 lists all methods of the path."""
    grouped = groupby(CALLS, key=lambda call: call.path)
    return (*(_route(path, list(calls)) for path, calls in grouped), Route(f"{PREFIX}/", index))


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
