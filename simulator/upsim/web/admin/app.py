"""The routes of the admin API, behind its rule."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from upsim.web.admin import contents, probes, sandboxes, webhooks
from upsim.web.admin.problems import problem
from upsim.web.auth import AdminRule
from upsim.web.receivers import INBOX

Handler = Callable[[Request], Awaitable[Response]]
PREFIX = "/__sim"
OPEN = frozenset(f"{PREFIX}/{name}" for name in ("livez", "readyz", "health", "metrics"))


def routes() -> list[BaseRoute]:
    """Every admin call of this version."""
    box = f"{PREFIX}/sandboxes/{{id}}"
    return [
        Route(f"{PREFIX}/livez", probes.live),
        Route(f"{PREFIX}/readyz", probes.ready),
        Route(f"{PREFIX}/health", probes.health),
        Route(f"{PREFIX}/metrics", probes.metrics),
        _by_method(f"{PREFIX}/sandboxes", GET=sandboxes.listing, POST=sandboxes.create),
        _by_method(box, GET=sandboxes.show, DELETE=sandboxes.delete),
        Route(f"{box}/reset", sandboxes.reset, methods=["POST"]),
        _by_method(f"{box}/clock", GET=sandboxes.clock, PATCH=sandboxes.change_clock),
        Route(f"{box}/clock/advance", sandboxes.advance, methods=["POST"]),
        Route(f"{box}/jobs", contents.jobs),
        Route(f"{box}/jobs/{{job}}", contents.job),
        Route(f"{box}/jobs/{{job}}/state", contents.set_state, methods=["PUT"]),
        Route(f"{box}/accounts", contents.accounts),
        Route(f"{box}/accounts/{{provider}}", contents.change_account, methods=["PUT"]),
        Route(f"{box}/accounts/{{provider}}/keys", contents.issue_key, methods=["POST"]),
        Route(f"{box}/ledger", contents.ledger),
        Route(f"{box}/journal", contents.journal),
        Route(f"{box}/journal/find", contents.find, methods=["POST"]),
        Route(f"{box}/journal/count", contents.count, methods=["POST"]),
        Route(f"{box}/webhooks", webhooks.listing),
        Route(f"{box}/webhooks/{{delivery}}", webhooks.show),
        Route(f"{box}/webhooks/{{delivery}}/resend", webhooks.resend, methods=["POST"]),
        Route(f"{box}/inbox/{{name}}/messages", webhooks.messages),
        Route(f"{box}/inbox/{{name}}", webhooks.Receiver),
    ]


def _by_method(path: str, **handlers: Handler) -> Route:
    """One route for all methods of a path, so that a 405 names them all."""

    async def handle(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, handle, methods=list(handlers))


async def guarded(rule: AdminRule, scope: Scope, receive: Receive, send: Send) -> bool:
    """Whether the request was refused (and answered) by the rule of the admin API."""
    if scope["path"] in OPEN or INBOX.match(scope["path"]):
        return False
    refusal = rule.refusal(scope)
    if refusal is None:
        return False
    await problem(refusal.status, refusal.code, refusal.message)(scope, receive, send)
    return True
